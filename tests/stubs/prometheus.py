"""A stand-in for Prometheus on a real socket: it answers what the actuator asks, with what a test said."""

import json
import re
import threading
import time
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from actuator.model.orders import Target

_UNITS = {"cpu": "cores", "memory": "bytes"}
_USAGE = {"cpu": "cpp_cpu_usage_cores", "memory": "cpp_memory_working_set_bytes"}


@dataclass
class StubPrometheus:
    """Which alerts fire for which containers, and what each container uses and will need."""

    firing: dict[str, list[Target]] = field(default_factory=dict)
    known: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """By pod and resource: ``usage``, ``forecast``, ``top``, ``peak``, ``node_capacity`` and ``node_forecast``."""
    ahead: float = 0.0
    """Seconds by which its clock is ahead of the right one."""
    exporter_ahead: float = 0.0
    """The same of the exporter's clock."""

    def __enter__(self) -> "StubPrometheus":
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def answer(self, path: str, asked: dict[str, list[str]]) -> Any:
        if path.endswith("/rules"):
            name = asked["rule_name[]"][0]
            return {"groups": [{"rules": [{"name": name, "query": f"rule_{name}"}]}]}
        query = asked["query"][0]
        if query.startswith("rule_"):
            rows = [(asdict(target), 1.0) for target in self.firing.get(query.removeprefix("rule_"), [])]
        else:
            rows = self._rows(query)
        now = time.time() + self.ahead
        return {"resultType": "vector", "result": [{"metric": m, "value": [now, repr(v)]} for m, v in rows]}

    def _rows(self, query: str) -> list[tuple[dict[str, str], float]]:
        found = re.search(r'pod="([^"]+)"', query)
        resource = "memory" if "memory" in query.split("{", 2)[0] + query.split("|", 1)[0] else "cpu"
        known = self.known.get((found.group(1) if found else "", resource))
        if known is None:
            return []
        if query.startswith("max(max_over_time("):
            return [({}, known["usage"])]
        return _everything(resource, known, self.exporter_ahead)


def _everything(resource: str, known: dict[str, float], exporter_ahead: float) -> list[tuple[dict[str, str], float]]:
    now, unit = time.time(), _UNITS[resource]
    forecast = f"cpp_{resource}_forecast_{unit}"
    return [
        ({"__name__": _USAGE[resource]}, known["usage"]),
        ({"__name__": forecast, "horizon": "5m", "level": "0.9"}, known["forecast"]),
        ({"__name__": forecast, "horizon": "5m", "level": "0.99"}, known["top"]),
        ({"__name__": f"cpp_node_{resource}_capacity_{unit}"}, known["node_capacity"]),
        ({"__name__": f"cpp_node_{resource}_forecast_{unit}", "level": "0.9"}, known["node_forecast"]),
        ({"__name__": "cpp_last_sample_timestamp_seconds"}, now - 1.0 + exporter_ahead),
        ({"ask": "stored"}, now - 0.5),
        ({"ask": "peak"}, known["peak"]),
        ({"ask": "first"}, now - 90_000.0),
    ]


def _handler(stub: StubPrometheus) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(timestamp or time.time() + stub.ahead)

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            document = {"status": "success", "data": stub.answer(split.path, parse_qs(split.query))}
            raw = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
