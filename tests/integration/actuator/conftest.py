import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

HERE = Path(__file__).parent
TOKEN = "a secret of this test"
GIB = float(2**30)


@dataclass
class Remote:
    """The platform's and Prometheus' side: one container, and doors at which a question can be kept waiting."""

    path: str
    limit: float | None = 1.0
    changes: list[float | None] = field(default_factory=list)
    wait_before: threading.Event = field(default_factory=threading.Event)
    wait_after: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)
    firing: bool = True

    def open_doors(self) -> None:
        self.wait_before.set()
        self.wait_after.set()

    def answer(self, question: dict[str, Any]) -> Any:
        match question["question"]:
            case "inspect":
                host = {"memory_usage": 0.1 * GIB, "host_cpu": 16.0, "host_memory": 64 * GIB}
                return {"cpu_limit": self.limit, "memory_limit": GIB, **host}
            case "kernel_value":
                return {"file": "/cgroup/web/cpu", "raw": str(self.limit), "limit": self.limit}
            case "observe":
                return {"firing": self.firing, "sample_age": 1.0, "usage": 0.9}
            case "set_limit":
                return self._set(question["value"])

    def _set(self, value: float | None) -> None:
        if not self.wait_before.is_set():
            self.arrived.set()
            self.wait_before.wait(30)
            return  # the one who asked was killed before anything was done
        self.limit = value
        self.changes.append(value)
        if not self.wait_after.is_set():
            self.arrived.set()
            self.wait_after.wait(30)


@pytest.fixture
def remote() -> Iterator[Remote]:
    with tempfile.TemporaryDirectory() as directory:
        remote = Remote(f"{directory}/remote")

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                answer = remote.answer(json.loads(self.rfile.readline()))
                try:
                    self.wfile.write(json.dumps(answer).encode() + b"\n")
                except BrokenPipeError:
                    return

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        with Server(remote.path, Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            yield remote
            remote.open_doors()
            server.shutdown()


@dataclass
class Actuator:
    """A running cpp-actuator, spoken to over HTTP."""

    process: subprocess.Popen[bytes]
    url: str
    verify: str | bool = True

    def post(self, *alerts: dict[str, Any]) -> int:
        body = {"version": "4", "status": "firing", "alerts": list(alerts)}
        return self.request("POST", "/alerts", json=body, headers={"Authorization": f"Bearer {TOKEN}"}).status_code

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=20, verify=self.verify, **arguments)

    def steps(self) -> list[dict[str, Any]]:
        actions = self.request("GET", "/actions").json()["actions"]
        return [step for action in actions for decision in action["decisions"] for step in decision["steps"]]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


def wait_until(true: Callable[[], object], seconds: float = 45.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture
def eventually() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    document = {
        "cluster": "lab",
        "dry_run": False,
        "webhook": {"token_file": str(tmp_path / "token")},
        "ledger": {"path": str(tmp_path / "ledger.sqlite")},
        "platform": {"socket": str(tmp_path / "no-docker.sock")},
        "prometheus": {"url": "http://127.0.0.1:9", "scrape_interval": "1s", "timeout": "1s"},
    }
    (tmp_path / "actuator.yml").write_text(yaml.safe_dump(document))
    return tmp_path / "actuator.yml"


@pytest.fixture
def start(config_file: Path, remote: Remote, port: int) -> Iterator[Callable[..., Actuator]]:
    started: list[Actuator] = []

    def begin(web_file: str = "", scheme: str = "http", verify: str | bool = True) -> Actuator:
        command = [sys.executable, str(HERE / "stub_actuator.py"), str(config_file), f"127.0.0.1:{port}", remote.path]
        process = subprocess.Popen([*command, web_file], env={**os.environ, "PYTHONPATH": str(HERE.parents[2])})
        actuator = Actuator(process, f"{scheme}://localhost:{port}", verify)
        started.append(actuator)
        wait_until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None
        return actuator

    yield begin
    for actuator in started:
        actuator.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def watchdog() -> dict[str, Any]:
    return {"labels": {"alertname": "CppWatchdog", "cluster": "lab", "severity": "none"}, "fingerprint": "w"}


@pytest.fixture
def relieve() -> dict[str, Any]:
    labels = {
        "alertname": "CppRelieve",
        "cluster": "lab",
        "severity": "warning",
        "intent": "relieve",
        "resource": "cpu",
        "node": "n1",
        "container": "web",
        "container_id": "a" * 64,
    }
    return {"labels": labels, "status": "firing", "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f"}
