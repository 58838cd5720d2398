"""TLS in front of a plain HTTP server on a Unix socket; a thread for each connection, so a slow one stops no other."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

_CONNECTIONS = 64
_HANDSHAKE_SECONDS = 10.0
_IDLE_SECONDS = 120.0
_CHUNK = 65_536
_PAUSE = 0.2
_log = structlog.get_logger(__name__)


class TlsFront:
    """Accepts on ``listener``, speaks TLS by ``context()``, and passes the bytes on to ``backend``."""

    def __init__(self, listener: socket.socket, context: Callable[[], ssl.SSLContext], backend: Path) -> None:
        self._listener, self._context, self._backend = listener, context, backend
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)

    def run(self) -> None:
        """Accept until the listener is closed."""
        while True:
            self._slots.acquire()
            try:
                raw, _ = self._listener.accept()
            except OSError as error:  # too many open files, or a peer that left before its turn
                self._slots.release()
                if self._listener.fileno() < 0:
                    return
                _log.warning("connection not accepted", error=str(error))
                time.sleep(_PAUSE)
                continue
            try:
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()
            except RuntimeError as error:  # no thread is to be had
                raw.close()
                self._slots.release()
                _log.warning("connection not served", error=str(error))

    def _serve(self, raw: socket.socket) -> None:
        try:
            raw.settimeout(_HANDSHAKE_SECONDS)
            with raw, self._context().wrap_socket(raw, server_side=True) as client, self._connect() as backend:
                _relay(client, backend)
        except OSError as error:  # ssl.SSLError is one: plain HTTP on this port, a scanner, a lost peer
            _log.debug("connection ended", error=str(error))
        finally:
            self._slots.release()

    def _connect(self) -> socket.socket:
        backend = socket.socket(socket.AF_UNIX)
        try:
            backend.connect(str(self._backend))
        except OSError:  # it ends while a last client comes
            backend.close()
            raise
        return backend


def _relay(client: ssl.SSLSocket, backend: socket.socket) -> None:
    """Pass bytes both ways until either side ends or both are idle for too long."""
    while True:
        if not client.pending():
            ready, _, _ = select.select([client, backend], [], [], _IDLE_SECONDS)
            if not ready:
                return
            if backend in ready and not _pass(backend, client):
                return
            if client not in ready:
                continue
        if not _pass(client, backend):
            return


def _pass(source: socket.socket, sink: socket.socket) -> bool:
    """Pass on what has arrived; False at the end of the stream."""
    # A readable TLS socket may hold half a record only; a blocking read would then stop the other direction.
    source.settimeout(0)
    with suppress(ssl.SSLWantReadError, BlockingIOError):
        data = source.recv(_CHUNK)
        if not data:
            return False
        sink.settimeout(_IDLE_SECONDS)
        sink.sendall(data)
    return True
