"""A stand-in for Prometheus over HTTP, in a process of its own, for alerts about a simulated cluster."""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fleet import SimulatedPod, node_names

MIB = 2.0**20
_DAY = 86_400.0
_AGE = 3.0
_HORIZONS = ("5m", "15m", "30m")

Row = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Demand:
    """An alert of the shipped rules, and what Prometheus says of a container about which it fires."""

    alert: str
    intent: str
    resource: str
    usage: float
    forecast: float
    """At the level .9 of each horizon."""
    peak: float


DEMANDS = (
    Demand("CppReserveCpu", "reserve", "cpu", 0.3, 0.7, 0.4),
    Demand("CppMemoryLeak", "activate", "memory", 480 * MIB, 490 * MIB, 480 * MIB),
    Demand("CppReclaimCpu", "reclaim", "cpu", 0.05, 0.1, 0.1),
    Demand("CppRelieve", "relieve", "cpu", 0.45, 0.45, 0.5),
    Demand("CppMigrate", "migrate", "cpu", 0.3, 0.3, 0.4),
)
_QUIET = Demand("", "", "cpu", 0.1, 0.12, 0.2)


class Says:
    """Answers each question that the actuator asks."""

    def __init__(self, pods: Iterable[SimulatedPod], alerts: Sequence[tuple[Demand, SimulatedPod]]) -> None:
        self._demand = {(pod.namespace, pod.name): demand for demand, pod in alerts}
        self._on_node: dict[str, list[SimulatedPod]] = defaultdict(list)
        for pod in pods:
            self._on_node[pod.node].append(pod)
        self._firing = {
            demand.alert: [(pod.labels, 1.0) for each, pod in alerts if each is demand] for demand in DEMANDS
        }

    def rules(self, alert: str) -> object:
        """Return the rule of an alert."""
        return {"groups": [{"rules": [{"name": alert, "query": f"firing_{alert}"}]}]}

    def rows(self, query: str, at: float) -> list[Row]:
        """Return an instant vector."""
        if query.startswith("firing_"):
            return self._firing[query.removeprefix("firing_")]
        if "cpp_node_(cpu|memory)_" in query:
            return list(_of_all_nodes(at))
        if 'container_id="' in query:
            return list(self._of_container(query, at))
        if "max_over_time" in query:
            return [({}, 100 * MIB)]
        return list(self._of_node(_asked(query, "node")))

    def _of_container(self, query: str, at: float) -> Iterator[Row]:
        node, demand = _asked(query, "node"), self._demand[_asked(query, "namespace"), _asked(query, "pod")]
        resource, unit, usage = _names(demand.resource)
        who = {label: _asked(query, label) for label in ("node", "namespace", "pod", "container", "container_id")}
        yield who | {"__name__": usage}, demand.usage
        yield who | {"__name__": f"cpp_{resource}_limit_{unit}"}, 512 * MIB if resource == "memory" else 0.5
        for horizon in _HORIZONS:
            for level, factor in (("0.5", 0.8), ("0.9", 1.0), ("0.99", 1.1)):
                name = {"__name__": f"cpp_{resource}_forecast_{unit}", "horizon": horizon, "level": level}
                yield who | name, demand.forecast * factor
        for row in _of_all_nodes(at, [node]):
            if resource in row[0]["__name__"] or "last_sample" in row[0]["__name__"]:
                yield row
        for ask, value in (("stored", at - _AGE), ("peak", demand.peak), ("first", at - _DAY), ("oom", 0.0)):
            yield who | {"ask": ask}, value

    def _of_node(self, node: str) -> Iterator[Row]:
        yield {"__name__": "cpp_alarm_threshold_ratio", "score": "interference_caused"}, 0.3
        for pod in self._on_node[node]:
            demand = self._demand.get((pod.namespace, pod.name), _QUIET)
            for horizon in _HORIZONS:
                more = {"horizon": horizon, "level": "0.9"}
                yield pod.labels | more | {"__name__": "cpp_cpu_forecast_cores"}, 0.2
                yield pod.labels | more | {"__name__": "cpp_memory_forecast_bytes"}, 100 * MIB
            yield pod.labels | {"__name__": "cpp_memory_working_set_bytes"}, 100 * MIB
            yield pod.labels | {"__name__": "cpp_security_risk_ratio"}, 0.05
            suffers = 0.5 if demand.intent == "migrate" else 0.02
            yield pod.labels | {"__name__": "cpp_interference_suffered_ratio", "resource": "cpu"}, suffers


def _of_all_nodes(at: float, nodes: Iterable[str] | None = None) -> Iterator[Row]:
    for number, node in enumerate(nodes or node_names()):
        yield {"__name__": "cpp_last_sample_timestamp_seconds", "source": "cadvisor", "node": node}, at - 2 * _AGE
        for resource, unit, has in (("cpu", "cores", 16.0), ("memory", "bytes", 65_536 * MIB)):
            yield {"__name__": f"cpp_node_{resource}_capacity_{unit}", "node": node}, has
            for horizon in _HORIZONS:
                more = {"horizon": horizon, "level": "0.9"}
                forecast = has * (0.3 + 0.4 * (number % 10) / 10)
                yield {"__name__": f"cpp_node_{resource}_forecast_{unit}", "node": node} | more, forecast


def _names(resource: str) -> tuple[str, str, str]:
    memory = resource == "memory"
    return ("memory", "bytes", "cpp_memory_working_set_bytes") if memory else ("cpu", "cores", "cpp_cpu_usage_cores")


def _asked(query: str, label: str) -> str:
    found = re.search(rf'\b{label}="([^"]*)"', query)
    return found[1] if found else ""


@contextmanager
def answering(says: Says) -> Iterator[str]:
    """Answer until the block ends; yield the address."""
    processes = get_context("fork")
    ours, theirs = processes.Pipe()
    process = processes.Process(target=_serve, args=(says, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(says: Says, told: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(says))
    told.send(server.server_port)
    server.serve_forever()


def _handler(says: Says) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for head and body

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            data: Any
            if url.path.endswith("/rules"):
                data = says.rules(asked["rule_name[]"])
            else:
                at = float(asked.get("time", time.time()))
                rows = [
                    {"metric": labels, "value": [at, repr(value)]} for labels, value in says.rows(asked["query"], at)
                ]
                data = {"resultType": "vector", "result": rows}
            body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
