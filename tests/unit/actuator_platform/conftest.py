import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import stamina

from actuator.model.orders import Target

MIB = 2**20
ID = "c" * 64


class StubEngine(socketserver.ThreadingUnixStreamServer):
    """A Docker Engine that answers what a test told it to, over a real Unix socket."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.answers: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
        self.api: Any = "1.41"
        self.asked_for_api = 0
        super().__init__(str(path), _Handler)

    def answer(self, method: str, path: str, status: int, body: Any) -> None:
        """Queue an answer; the last one is repeated."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.setdefault((method, path), []).append((status, raw))

    def describe(self, **host_config: int) -> None:
        self.answer("GET", f"/containers/{ID}/json", 200, container(**host_config))
        self.answer("GET", "/info", 200, {"NCPU": 8, "MemTotal": 800 * MIB})
        self.answer("POST", f"/containers/{ID}/update", 200, {"Warnings": None})

    @property
    def updates(self) -> list[Any]:
        return [body for method, _, body in self.requests if method == "POST"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubEngine

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: Any) -> None:
        if self.path == "/version":
            self.server.asked_for_api += 1
            self._send(200, json.dumps({"ApiVersion": self.server.api}).encode())
            return
        version, path = self.path.split("/", 2)[1], "/" + self.path.split("/", 2)[2]
        self.server.requests.append((self.command, path, body))
        if version != f"v{self.server.api}":
            self._send(400, b'{"message": "client version is too old or too new"}')
            return
        queue = self.server.answers.get((self.command, path), [(404, b'{"message": "No such container"}')])
        status, raw = queue.pop(0) if len(queue) > 1 else queue[0]
        if status == 0:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._send(status, raw)

    def _send(self, status: int, raw: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        pass


def container(**host_config: int) -> dict[str, Any]:
    return {
        "Path": "/bin/server",
        "State": {"Running": True, "Pid": 42, "StartedAt": "2026-11-22T12:48:37.161206221Z"},
        "Config": {"Image": "shop/web:1", "Labels": {}},
        "HostConfig": {"NanoCpus": 0, "CpuPeriod": 0, "CpuQuota": 0, "Memory": 0, "MemorySwap": 0} | host_config,
    }


class Tree:
    """A ``/proc`` and a ``/sys/fs/cgroup`` of a test's own."""

    def __init__(self, root: Path) -> None:
        self.proc, self.cgroup = root / "proc", root / "cgroup"

    def member(self, *lines: str, pid: int = 42) -> None:
        self.write(self.proc / str(pid) / "cgroup", "\n".join(lines))

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    def v1(self, quota: int = 50_000, memory: int = 100 * MIB, usage: int = 50 * MIB) -> None:
        self.member(f"4:memory:/docker/{ID}", f"1:cpu:/docker/{ID}", f"0::/docker/{ID}")
        cpu, ram = self.cgroup / "cpu/docker" / ID, self.cgroup / "memory/docker" / ID
        self.write(cpu / "cpu.cfs_quota_us", str(quota))
        self.write(cpu / "cpu.cfs_period_us", "100000")
        self.write(ram / "memory.limit_in_bytes", str(memory))
        self.write(ram / "memory.usage_in_bytes", str(usage))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def target() -> Target:
    return Target("n1", "", "", "web", ID)


@pytest.fixture
def engine_stub(tmp_path: Path) -> Iterator[StubEngine]:
    with StubEngine(tmp_path / "docker.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def described() -> Any:
    return container
