"""The HTTP face of the objects: it can be stopped and started again, and made to fail."""

import json
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from apiserver import request as requests
from apiserver.faults import ANYTHING, BrokenError, Door, Fault, Faults, Matches, Side
from apiserver.request import Request
from apiserver.store import Object, RefusedError, Store
from apiserver.verbs import answer


class StubApiServer:
    """Objects are in ``store``; take ``lock`` to look at them while clients are at work."""

    def __init__(self) -> None:
        self.store, self.faults, self.lock = Store(), Faults(), threading.RLock()
        self.asked: list[Request] = []
        """Every request that was read, also those that failed."""
        self._port = 0
        self._http: _Server | None = None

    @property
    def url(self) -> str:
        """Address; it stays the same over ``stop`` and ``start``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """How many requests there were by (verb, resource)."""
        return Counter((request.verb, request.resource) for request in list(self.asked))

    def start(self) -> None:
        """Listen."""
        self._http = _Server(("127.0.0.1", self._port), self)
        self._port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """End listening and every connection; the objects stay."""
        if self._http is not None:
            self.faults.clear()
            self._http.shutdown()
            self._http.server_close()
            self._http.hang_up()
            self._http = None

    def add(self, plural: str, document: Object) -> Object:
        """Put an object there, as a client would."""
        with self.lock:
            return self.store.create(plural, document["metadata"].get("namespace", ""), document)

    def refuse(
        self, status: int, matches: Matches = ANYTHING, times: int = 1, retry_after: float | None = None
    ) -> None:
        """Answer the next requests that match with ``status`` and do nothing."""
        refusal = RefusedError(status, "Arranged", f"answered {status} on purpose", retry_after)
        self.faults.add(Fault(matches, refusal=refusal, times=times))

    def drop(self, matches: Matches = ANYTHING, side: Side = Side.BEFORE, times: int = 1) -> None:
        """Break the connection of the next requests that match, before or after they are done."""
        self.faults.add(Fault(matches, side, times=times))

    def hold(self, matches: Matches, side: Side, skip: int = 0) -> Door:
        """Keep one request waiting at a door, before or after it is done; it never gets an answer."""
        door = Door()
        self.faults.add(Fault(matches, side, door=door, skip=skip))
        return door

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for this server."""
        context = {"cluster": "stub", "user": "stub"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": {"server": self.url}}],
            "users": [{"name": "stub", "user": {}}],
            "contexts": [{"name": "stub", "context": context}],
        }
        path.write_text(json.dumps(document))
        return path

    def answer(self, request: Request) -> tuple[int, Object, float | None]:
        """Return status, body and Retry-After. Raises BrokenError."""
        self.asked.append(request)
        fault = self.faults.take(request)
        try:
            if fault is not None:
                fault.meet(Side.BEFORE)
            with self.lock:
                status, body = answer(self.store, request)
                body = json.loads(json.dumps(body))
            if fault is not None:
                fault.meet(Side.AFTER)
        except RefusedError as error:
            said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": error.status}
            return error.status, {**said, "reason": error.reason, "message": error.message}, error.retry_after
        return status, body, None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], stub: StubApiServer) -> None:
        super().__init__(address, _Handler)
        self.stub, self._open = stub, set[socket.socket]()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._open):
            _end(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed leave broken connections behind; they are no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw else None
            request = requests.read(self.command, self.path, self.headers.get("Content-Type") or "", body)
        except ValueError as error:
            return self._send(404, {"kind": "Status", "code": 404, "message": str(error)}, None)
        try:
            return self._send(*self.server.stub.answer(request))
        except BrokenError:
            self.close_connection = True
            return _end(self.connection)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _send(self, status: int, document: Object, retry_after: float | None) -> None:
        raw = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if retry_after is not None:
            self.send_header("Retry-After", f"{retry_after:g}")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # its client was first
