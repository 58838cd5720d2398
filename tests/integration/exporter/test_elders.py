import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from exporter.config import Config
from exporter.cycle import Cycle, Readings
from exporter.elders import Elders
from exporter.history.signals import RESOURCES
from exporter.sources.exposition import Samples, parse
from exporter.sources.families import CADVISOR_WANTED
from exporter.sources.pods import Pods, parse_pods

Serve = Callable[..., contextlib.AbstractContextManager[str]]

START = 1_800_000_000
ARRIVAL = 12
"""Seconds after START at which the replica comes; all there is of it is a few quiet moments."""
PERIOD, BUSY, HIGH, LOW = 40, 12, 1.0, 0.1
CPU = RESOURCES.index("cpu")


def busy(at: float) -> float:
    """What the workload uses wherever it is: much for BUSY seconds of each PERIOD, from the middle of it on."""
    return HIGH if PERIOD / 2 <= at % PERIOD < PERIOD / 2 + BUSY else LOW


class Prometheus:
    """Knows what one workload did on another node."""

    def __init__(self, workload: str = "shop/web/main") -> None:
        self.asked: list[str] = []
        self._workload = workload

    def __call__(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        assert path == "/api/v1/query_range"
        self.asked.append(query["query"])
        start, end = (float(query[key]) for key in ("start", "end"))
        result = []
        if "cpp_cpu_usage_cores" in query["query"] and f'workload="{self._workload}"' in query["query"]:
            values = [[at, str(busy(at))] for at in np.arange(start, end + 1).tolist()]
            result = [{"metric": {"workload": self._workload}, "values": values}]
        return 200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def _usage(at: float, used: dict[str, float]) -> Samples:
    rows = (
        f'container_cpu_usage_seconds_total{{container="main",id="/kubepods/pod{pod}/{pod.encode().hex():0<64.64}",'
        f'namespace="shop",pod="{pod}"}} {value} {at * 1000:.0f}\n'
        for pod, value in used.items()
    )
    return parse(b"# TYPE container_cpu_usage_seconds_total counter\n" + "".join(rows).encode(), CADVISOR_WANTED)


def _pods(*names: str) -> Pods:
    def pod(name: str) -> dict[str, object]:
        owner = {"kind": "StatefulSet", "name": name.partition("-")[0], "controller": True}
        metadata = {"name": name, "namespace": "shop", "ownerReferences": [owner]}
        return {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}}

    return parse_pods([json.dumps({"items": [pod(name) for name in names]}).encode()])


class Node:
    """A node with an old inhabitant, to which a replica of ``web`` comes at ARRIVAL."""

    def __init__(self, prometheus: str) -> None:
        sources = {"kubelet": {"url": "http://127.0.0.1:9"}, "prometheus": {"url": prometheus, "timeout": "5s"}}
        forecast = {"step": "1s", "horizons": ["10s", "20s", "30s"], "min_history": "20s", "arima": False}
        self.config = Config(node="n2", interval="1s", sources=sources, forecast=forecast)
        self.cycle = Cycle(self.config)
        self._used = {"old-0": 0.0}

    def second(self, at: int) -> None:
        if at == ARRIVAL:
            self._used["web-1"] = 0.0
        self._used = {pod: used + busy(START + at) * (pod == "web-1") + 0.01 for pod, used in self._used.items()}
        pods = _pods(*self._used)
        self.state = self.cycle.run(Readings(_usage(START + at, self._used), None, pods), (), START + at)

    def forecast(self) -> float:
        """Return the highest median forecast of the replica's CPU; 0 where there is none."""
        row = [who.pod for who in self.state.snapshot.identities].index("web-1")
        return float(np.nanmax(self.state.quantiles[row, CPU, :, 0], initial=0.0))


def _arrive(node: Node, elders: Elders | None) -> Node:
    for at in range(ARRIVAL + 5):
        node.second(at)
        if elders is not None:
            elders.look(node.cycle)
    node.cycle.close()
    return node


def _elders(node: Node) -> Elders:
    assert node.config.sources.prometheus is not None
    return Elders(node.config, node.config.sources.prometheus)


def test_a_replica_that_moves_to_a_node_goes_on_with_what_its_workload_did_on_others(serve: Serve) -> None:
    with serve(Prometheus()) as url:
        newcomer, unhelped = Node(url), Node(url)
        _arrive(newcomer, _elders(newcomer))
        _arrive(unhelped, None)
    assert newcomer.forecast() == pytest.approx(HIGH, abs=0.2)
    assert unhelped.forecast() < 3 * LOW, "nobody can know this from a few quiet seconds"


def test_each_stranger_is_asked_about_once_and_who_has_been_here_is_not(serve: Serve) -> None:
    prometheus = Prometheus()
    with serve(prometheus) as url:
        node = Node(url)
        _arrive(node, _elders(node))
    workloads = [question for question in prometheus.asked if "cpp_cpu_usage_cores" in question]
    assert len([question for question in workloads if "shop/web/main" in question]) == 1
    assert len([question for question in workloads if "shop/old/main" in question]) == 1
    assert all('namespace="shop",container="main"' in question for question in workloads)


def test_what_prometheus_does_not_know_changes_nothing(serve: Serve) -> None:
    with serve(Prometheus("shop/another/main")) as url:
        node = Node(url)
        assert _arrive(node, _elders(node)).forecast() < 3 * LOW


def test_a_prometheus_that_does_not_answer_is_left_alone_for_minutes_and_then_asked_again(
    free_port: Callable[[], int],
) -> None:
    node = Node(f"http://127.0.0.1:{free_port()}")
    elders = _elders(node)
    with capture_logs() as logs:
        _arrive(node, elders)
        assert [entry["event"] for entry in logs].count("a workload begins with nothing for now") == 1
        node.second(ARRIVAL + 400)
        elders.look(node.cycle)
    assert [entry["event"] for entry in logs].count("a workload begins with nothing for now") == 2


def test_what_is_asked_is_promql(serve: Serve, tmp_path: Path) -> None:
    prometheus = Prometheus()
    with serve(prometheus) as url:
        node = Node(url)
        _arrive(node, _elders(node))
    asked = [{"record": f"asked{number}", "expr": question} for number, question in enumerate(prometheus.asked)]
    (tmp_path / "asked.yml").write_text(json.dumps({"groups": [{"name": "asked", "rules": asked}]}))
    found = subprocess.run(["promtool", "check", "rules", tmp_path / "asked.yml"], capture_output=True, check=False)
    assert (len(asked), found.returncode) == (18, 0), found.stderr.decode()
