import json
from typing import Any

import numpy as np
import pytest

from exporter.config import Config
from exporter.cycle import Cycle, Readings
from exporter.history.identity import Identity
from exporter.history.store import History
from exporter.sources.exposition import Samples, parse
from exporter.sources.families import CADVISOR_WANTED
from exporter.sources.pods import Pods, parse_pods

START = 1_800_000_000.0
MIB = 2.0**20
MOVED, BUSY, QUIET = 131, 1.0, 0.1
"""Seconds after START at which a replica takes another's place, and cores that both use, much for 6 s of each 20."""
CONFIG: dict[str, Any] = {"node": "n1", "sources": {"kubelet": {"url": "https://127.0.0.1:10250/pods"}}}


def _text(at: float, cpu: dict[str, float]) -> Samples:
    """Write what a kubelet's cAdvisor does: the machine, the group of all pods, a pod's sandbox, its containers."""
    stamp = round(at * 1000)
    used = [f'{{container="",id="/",namespace="",pod=""}} {9 * sum(cpu.values())} {stamp}']
    used.append(f'{{container="",id="/kubepods",namespace="",pod=""}} {sum(cpu.values())} {stamp}')
    received = [f'{{container="",id="/",interface="eth0",namespace="",pod=""}} 1e9 {stamp}']
    for pod, value in cpu.items():
        container = pod.encode().hex().ljust(64, "0")[:64]
        who = f'image="sha256:1",namespace="shop",pod="{pod}"'
        used.append(f'{{container="",id="/kubepods/pod-{pod}",namespace="shop",pod="{pod}"}} {value + 1} {stamp}')
        used.append(f'{{container="main",id="/kubepods/pod-{pod}/{container}",{who}}} {value} {stamp}')
        sandbox = f'id="/kubepods/pod-{pod}/{"f" * 64}"'
        received.append(f'{{container="",{sandbox},interface="eth0",{who}}} {1000 * value} {stamp}')
    families = {
        "container_cpu_usage_seconds_total": used,
        "container_network_receive_bytes_total": received,
        "container_spec_cpu_shares": ['{id="/"} 1024', '{id="/kubepods"} 3072'],
        "container_spec_memory_limit_bytes": ['{id="/"} 0', f'{{id="/kubepods"}} {900 * MIB}'],
        "machine_cpu_cores": [" 4"],
        "machine_memory_bytes": [f" {1024 * MIB}"],
    }
    lines = [f"# TYPE {name} gauge\n" + "".join(f"{name}{row}\n" for row in rows) for name, rows in families.items()]
    return parse("".join(lines).encode(), CADVISOR_WANTED)


def _pods(*names: str, requests: dict[str, str] | None = None, **annotations: str) -> Pods:
    def pod(name: str) -> dict[str, Any]:
        controller = {"kind": "ReplicaSet", "name": "web-front-abc", "controller": True}
        metadata = {
            "name": name,
            "namespace": "shop",
            "labels": {"pod-template-hash": "abc"},
            "annotations": {f"cpp/{key}": value for key, value in annotations.items()},
            "ownerReferences": [controller],
        }
        container = {"name": "main", "image": "shop:1", "resources": {"requests": requests or {}}}
        state = {"name": "main", "containerID": "containerd://abc"}
        return {"metadata": metadata, "spec": {"containers": [container]}, "status": {"containerStatuses": [state]}}

    return parse_pods([json.dumps({"items": [pod(name) for name in names]}).encode()])


def _by_pod(identities: tuple[Identity, ...]) -> dict[tuple[str, str], Identity]:
    return {(who.pod, who.container): who for who in identities}


@pytest.fixture
def history() -> History:
    return History(Config(**CONFIG))


def test_containers_are_described_by_the_kubelet_and_the_network_is_the_pods(history: History) -> None:
    for ticks in range(2):
        now = START + 15 * ticks
        snapshot = history.update(_text(now, {"a": 15.0 * ticks}), None, now, _pods("a", tenant="blue"))
    found = _by_pod(snapshot.identities)
    assert set(found) == {("a", "main"), ("a", "")}
    main, network = found["a", "main"], found["a", ""]
    assert (main.workload, main.tenant, main.image, main.runtime) == (
        "shop/web-front/main",
        "blue",
        "shop:1",
        "containerd",
    )
    assert (network.workload, network.tenant, network.container_id) == ("shop/web-front/", "blue", "")
    assert len(main.container_id) == 64


def test_requests_are_published_and_change_without_a_restart(history: History) -> None:
    first = history.update(_text(START, {"a": 0.0}), None, START, _pods("a", requests={"cpu": "250m"}))
    row = [who.container for who in first.identities].index("main")
    assert first.allocation.cpu_request[row] == 0.25
    assert np.isnan(first.allocation.memory_request[row])
    more = _pods("a", requests={"cpu": "1", "memory": "64Mi"})
    then = history.update(_text(START + 15, {"a": 1.0}), None, START + 15, more)
    assert (then.allocation.cpu_request[row], then.allocation.memory_request[row]) == (1.0, 64 * MIB)
    assert then.lives.tolist() == first.lives.tolist()


def test_the_node_is_what_its_pods_may_have_and_use(history: History) -> None:
    for ticks in range(2):
        now = START + 15 * ticks
        snapshot = history.update(_text(now, {"a": 15.0 * ticks, "b": 7.5 * ticks}), None, now, _pods("a", "b"))
    assert (snapshot.node_cpu, snapshot.node_memory) == (3.0, 900 * MIB)
    assert history.window(snapshot).node_cpu[-1] == pytest.approx(1.5)


def test_while_the_kubelet_is_silent_the_workload_is_guessed_and_mended_later(history: History) -> None:
    name = "web-front-586c69668b-dh6dj"
    guess = history.update(_text(START, {name: 0.0}), None, START)
    assert _by_pod(guess.identities)[name, "main"].workload == "shop/web-front/main"
    told = history.update(_text(START + 15, {name: 1.0}), None, START + 15, _pods(name, workload="checkout"))
    assert _by_pod(told.identities)[name, "main"].workload == "shop/checkout/main"
    silent = history.update(_text(START + 30, {name: 2.0}), None, START + 30, None)
    assert _by_pod(silent.identities)[name, "main"].workload == "shop/checkout/main"
    assert silent.lives.tolist() == told.lives.tolist()


def test_a_guess_does_not_take_back_what_was_known_before_a_restart(history: History) -> None:
    history.update(_text(START, {"a": 0.0}), None, START, _pods("a", workload="checkout"))
    resumed = History(Config(**CONFIG))
    resumed.restore(history.export(), START, START + 5)
    snapshot = resumed.update(_text(START + 15, {"a": 1.0}), None, START + 15)
    assert _by_pod(snapshot.identities)["a", "main"].workload == "shop/checkout/main"


def test_a_pod_that_the_kubelet_does_not_list_hurts_nobody(history: History) -> None:
    snapshot = history.update(_text(START, {"a": 0.0, "stranger": 0.0}), None, START, _pods("a", "gone"))
    assert {who.pod for who in snapshot.identities} == {"a", "stranger"}


def test_a_fresh_replica_starts_with_its_siblings_personality_and_a_stranger_does_not() -> None:
    forecast = {"step": "1s", "horizons": ["5s", "10s"], "min_history": "10s", "arima": False}
    cycle = Cycle(Config(interval="1s", forecast=forecast, **CONFIG))
    used: dict[str, float] = {}
    for ticks in range(MOVED + 4):
        now, listed = START + ticks, ("old",) if ticks < MOVED else ("heir", "stranger")
        used = {pod: used.get(pod, 0.0) + (BUSY if ticks % 20 < 6 else QUIET) for pod in listed}
        pods = {**_pods(*listed), **_pods("stranger", workload="another")}
        state = cycle.run(Readings(_text(now, used), None, pods), (), now)
    cycle.close()
    rows = [(who.pod, who.container) for who in state.snapshot.identities]
    heir, stranger = (np.nanmax(state.quantiles[rows.index((pod, "main")), 0, :, 0]) for pod in ("heir", "stranger"))
    assert heir == pytest.approx(BUSY, rel=0.2)
    assert stranger == pytest.approx(QUIET, rel=0.2)
