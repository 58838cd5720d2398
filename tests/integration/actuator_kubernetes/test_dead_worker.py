"""A leader whose worker's thread died does not lead on: its process ends, and the other finishes what it began."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from apiserver.nodes import Kubelet, node, pod
from apiserver.server import StubApiServer
from replica import Cluster, Replica, Seen, configure

SEEN: Seen = {"relieve": {"usage": 0.4}}
HALF = {"cpu": "500m", "memory": "64Mi"}
WATCHDOG = {"labels": {"alertname": "CppWatchdog", "cluster": "lab", "severity": "none"}, "fingerprint": "w"}
TAKEN_OVER_WITHIN = 20.0


@pytest.fixture
def server() -> Iterator[StubApiServer]:
    one = StubApiServer()
    one.store.watchers.append(Kubelet(one.store))
    one.start()
    one.add("nodes", node("n1"))
    one.add("namespaces", {"metadata": {"name": "shop"}})
    web = pod("web-1", "shop", {**HALF, "cpu": "250m"}, HALF, nodeName="n1")
    one.add("pods", web)["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    yield one
    one.stop()


@pytest.fixture
def start(server: StubApiServer, tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    kubeconfig, begun = server.kubeconfig(tmp_path / "kubeconfig"), list[Replica]()

    def run(name: str, **says: Any) -> Replica:
        begun.append(Replica(configure(tmp_path / name, kubeconfig), SEEN, cluster=Cluster(**says)))
        return begun[-1]

    yield run
    for replica in begun:
        replica.kill()


def alert(server: StubApiServer) -> dict[str, Any]:
    (found,) = server.store.find("pods", "shop")
    container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    whom = {"node": "n1", "namespace": "shop", "pod": "web-1", "container": "main", "container_id": container}
    asks = {"cluster": "lab", "resource": "cpu", "severity": "warning", "alertname": "CppRelieve", "intent": "relieve"}
    return {"labels": whom | asks, "status": "firing", "fingerprint": "f"}


def leads(replica: Replica) -> bool:
    with suppress(OSError):
        return "cpp_leader 1.0" in replica.ask("GET", "/metrics").text
    return False


def wait_for(predicate: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_leader_whose_worker_died_ends_itself_and_the_other_goes_on_with_its_order(
    server: StubApiServer, start: Callable[..., Replica], tmp_path: Path
) -> None:
    deadly = start("deadly", deadly=frozenset({"relieve"}))
    wait_for(lambda: leads(deadly), 10.0)
    other = start("other")
    assert deadly.post(WATCHDOG) == 202
    assert deadly.post(alert(server)) == 202
    asked = time.monotonic()
    wait_for(lambda: deadly.status is not None, 5.0)
    assert deadly.status == 1
    log = (tmp_path / "deadly/actuator.log").read_text()
    assert "worker ended" in log
    assert "ends itself" in log
    assert "the worker's loop has ended" in log
    wait_for(lambda: leads(other), TAKEN_OVER_WITHIN)
    print(f"taken over {time.monotonic() - asked:.1f} s after the order that ended the thread")
    assert time.monotonic() - asked < TAKEN_OVER_WITHIN

    def limit() -> str:
        (found,) = server.store.find("pods", "shop")
        return str(found["status"]["containerStatuses"][0]["resources"]["limits"]["cpu"])

    wait_for(lambda: limit() == "200m", 10.0)
