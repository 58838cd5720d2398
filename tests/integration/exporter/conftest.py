import contextlib
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import yaml

Answer = Callable[[str, dict[str, str]], tuple[int, bytes]]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        status, body = self.server.answer(url.path, query)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _serve(answer: Answer, port: int = 0) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler) as server:
        server.answer = answer  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def serve() -> Callable[..., contextlib.AbstractContextManager[str]]:
    """Return answer, port → a context with a running HTTP server; its value is the address."""
    return _serve


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def free_port() -> Callable[[], int]:
    return _free_port


@dataclass
class Running:
    """An exporter in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    gone: list[int] = field(default_factory=list)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=5)

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if condition():
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"in vain: {what}\n{self.log.read_text()}", pytrace=False)
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def run_exporter(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Return (sources, port, further keys) → a running exporter that turns its cycle every half second."""
    started = []

    def run(sources: dict[str, object], port: int | None = None, **more: object) -> Running:
        config, log = tmp_path / "exporter.yml", tmp_path / "exporter.log"
        forecast = {"step": "1s", "horizons": ["2s"], "arima": False}
        document = {"interval": "500ms", "node": "n1", "sources": sources, "forecast": forecast} | more
        config.write_text(yaml.safe_dump(document))
        address = f"127.0.0.1:{port or _free_port()}"
        flags = [f"--config.file={config}", f"--web.listen-address={address}"]
        with log.open("wb") as output:
            command = [sys.executable, "-m", "exporter", "run", *flags]
            started.append(subprocess.Popen(command, stdout=output, stderr=output))
        return Running(started[-1], f"http://{address}", log)

    yield run
    for process in started:
        process.kill()
        process.wait()
