"""Killed before and after each change that it asks for, whatever it was about: all is well again, and done once.

Each transaction of the ledger is such a change too: these are all the places at which one death differs from another.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from apiserver.faults import Side
from apiserver.nodes import Kubelet, ReplicaSets, Scheduler, node, pod
from apiserver.request import Request
from apiserver.server import StubApiServer
from replica import Cluster, Replica, Restore, Seen, configure
from steering_webhook import configuration, issue

from deploy.cluster.pki import Authority

AT_ONCE = 6
PATIENCE = 40.0
ANOTHER_PASS = 1.2
"""Time for the worker to do again what it has done, if it would."""
HALF = {"cpu": "500m", "memory": "64Mi"}
NODE = {"node_capacity": 4.0, "node_forecast": 1.0}
SEEN: Seen = {
    "reserve": {"usage": 0.3, "forecast": 0.8, **NODE},
    "activate": {"usage": 0.45, "forecast": 0.8, **NODE},
    "release": {"usage": 0.1},
    "relieve": {"usage": 0.4},
    "migrate": {"usage": 0.4},
    "reclaim": {"usage": 0.1, "peak": 0.2, "forecast_top": 0.2, "history_seconds": 90_000.0},
}
BUSY = {"n1": 3.0, "n2": 2.0, "n3": 0.4}
"""Cores forecast to be in use on each node."""
LISTENS = "127.0.0.1:0"
"""Where each replica listens for the API server, which in this cluster asks nobody."""
Predicate = Callable[["Run"], bool]


@dataclass(frozen=True)
class Steering:
    """The admission webhook, without which nothing is moved."""

    authority: Authority
    files: dict[str, str]


@dataclass(frozen=True)
class Stage:
    """Alerts that are delivered until they are taken, and what is to come of them."""

    alerts: tuple[tuple[str, str], ...]
    """Intent and status."""
    until: Predicate
    by_hand: bool = False
    """Whether a person restores what the owner had set."""


@dataclass
class Run:
    """A cluster of three nodes with two pods on the first, and what happened to them."""

    directory: Path
    steering: Steering
    server: StubApiServer = field(default_factory=StubApiServer)
    history: list[tuple[str, ...]] = field(default_factory=list)
    """Limits as they were in force, and pods that were evicted."""
    most_held: int = 0
    """Placeholders at one time: one may come back after a death, and never beside its former self."""
    labels: dict[str, str] = field(init=False)
    """Who the alerts are about."""

    def __enter__(self) -> "Run":
        store = self.server.store
        store.watchers += [Scheduler(store), Kubelet(store), ReplicaSets(store), self._note]
        self.server.start()
        for name in BUSY:
            self.server.add("nodes", node(name))
        self.server.add("namespaces", {"metadata": {"name": "shop", "labels": {"cpp/steer": "enabled"}}})
        self.server.add("mutatingwebhookconfigurations", configuration(self.steering.authority, LISTENS))
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}
        for name in ("web-1", "web-2"):
            web = pod(name, "shop", {**HALF, "cpu": "250m"}, HALF, nodeName="n1")
            web["metadata"]["ownerReferences"] = [owner]
            self.server.add("pods", web)["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        container = self.pod("web-1")["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        whom = {"node": "n1", "namespace": "shop", "pod": "web-1", "container": "main", "container_id": container}
        self.labels = {"cluster": "lab", "resource": "cpu", "severity": "warning", **whom}
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        with self.server.lock:
            return list(self.server.store.find("pods", namespace))

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.server.lock:
            found = [each["spec"].get("rows", {}) for each in self.server.store.find("containerorders")]
        return [row for rows in found for row in rows.get(table, ())]

    def pod(self, name: str) -> dict[str, Any]:
        return next(each for each in self.pods("shop") if each["metadata"]["name"] == name)

    def alert(self, intent: str, status: str) -> dict[str, Any]:
        labels = {**self.labels, "alertname": f"Cpp{intent.title()}", "intent": intent}
        return {"labels": labels, "status": status, "fingerprint": intent}

    def let_the_lease_run_out(self) -> None:
        with self.server.lock:
            for lease in self.server.store.find("leases"):
                self.server.store.update("leases", lease, {**lease, "spec": {}})

    def _note(self, event: str, plural: str, changed: dict[str, Any]) -> None:
        if plural != "pods":
            return
        name, shadow = changed["metadata"]["name"], changed["metadata"]["namespace"] == "cpp-system"
        statuses = changed.get("status", {}).get("containerStatuses")
        if shadow:
            self.most_held = max(self.most_held, len(self.server.store.find("pods", "cpp-system")))
        elif not shadow and event == "deleted":
            self.history.append((event, name))
        elif name == "web-1" and statuses:
            limit = ("limit", statuses[0]["resources"]["limits"]["cpu"])
            if limit not in [entry for entry in self.history if entry[0] == "limit"][-1:]:
                self.history.append(limit)


def is_tidy(run: Run) -> bool:
    """Tell whether nothing half done is left: no step, no placeholder that nothing explains, no wish for a resize."""
    underway = [row for row in run.rows("steps") if row["state"] in ("planned", "started")]
    shadows = run.pods("cpp-system")
    half_done = [each for each in run.pods("shop") if _asked(each) != _given(each) or "affinity" in each["spec"]]
    return not underway and len(shadows) == len(run.rows("reservations")) and not half_done


def _asked(found: dict[str, Any]) -> Any:
    return [container["resources"] for container in found["spec"]["containers"]]


def _given(found: dict[str, Any]) -> Any:
    return [status["resources"] for status in found["status"]["containerStatuses"]]


def reserved(run: Run) -> bool:
    return bool(run.rows("reservations"))


def not_reserved(run: Run) -> bool:
    return not run.rows("reservations")


def limited_to(cpu: str) -> Predicate:
    return lambda run: _given(run.pod("web-1"))[0]["limits"]["cpu"] == cpu


def as_the_owner_had_it(run: Run) -> bool:
    return limited_to("500m")(run) and "cpp/owner-resources" not in run.pod("web-1")["metadata"].get("annotations", {})


def moved(run: Run) -> bool:
    names = {each["metadata"]["name"] for each in run.pods("shop")}
    return "web-1" not in names and len(names) == 2


RESERVE = Stage((("reserve", "firing"),), reserved)
SCENES = {
    "reserve": (RESERVE,),
    "activate": (RESERVE, Stage((("reserve", "resolved"), ("activate", "firing")), limited_to("880m"))),
    "release": (RESERVE, Stage((("reserve", "resolved"), ("release", "firing")), not_reserved)),
    "relieve": (Stage((("relieve", "firing"),), limited_to("200m")),),
    "reclaim": (Stage((("reclaim", "firing"),), limited_to("250m")),),
    "migrate": (Stage((("migrate", "firing"),), moved),),
    "restore": (
        Stage((("reclaim", "firing"),), limited_to("250m")),
        Stage((("reclaim", "resolved"),), as_the_owner_had_it, by_hand=True),
    ),
}


class Player:
    """Plays a scene; where a door is given, kills whoever stands at it and lets another go on."""

    def __init__(self, run: Run, door: threading.Event | None, keeps_ledger: bool) -> None:
        """Whoever goes on has the file of who was killed, as in the same pod, or an empty one, as in another."""
        self._run, self._door, self._keeps_ledger = run, door, keeps_ledger
        self._kubeconfig = run.server.kubeconfig(run.directory / "kubeconfig")
        self._lives = 0
        self._replica = self._begin()

    def play(self, stages: tuple[Stage, ...]) -> None:
        try:
            for stage in stages:
                self._play(stage)
            time.sleep(ANOTHER_PASS)
            assert is_tidy(self._run)
        finally:
            self._replica.kill()

    def _play(self, stage: Stage) -> None:
        left, hand = list(stage.alerts), None
        for _ in self._moments(stage):
            if self._door is not None and self._door.is_set():
                self._die(hand)
                left, hand = list(stage.alerts), None
            elif not left:
                if stage.by_hand and (hand is None or not hand.alive()):
                    hand = Restore(self._config())
            elif self._deliver(left):
                left = []
        if hand is not None:
            hand.stop()

    def _deliver(self, alerts: list[tuple[str, str]]) -> bool:
        bodies = ([WATCHDOG], [self._run.alert(*each) for each in alerts])
        return all(self._replica.post(*body) == 202 for body in bodies)

    def _moments(self, stage: Stage) -> Iterator[None]:
        end = time.monotonic() + PATIENCE
        while True:
            yield
            if stage.until(self._run) and is_tidy(self._run):
                return
            assert self._replica.alive(), "it has ended by itself"
            assert time.monotonic() < end, f"it is not tidy in time: {self._run.history} {self._run.rows('steps')}"
            time.sleep(0.05)

    def _die(self, hand: Restore | None) -> None:
        self._door = None
        for process in (hand, self._replica):
            if process is not None:
                process.kill()
        self._run.server.faults.clear()
        self._run.let_the_lease_run_out()
        self._replica = self._begin()

    def _begin(self) -> Replica:
        self._lives += 1
        return Replica(self._config(), SEEN, cluster=Cluster(busy=BUSY))

    def _config(self) -> Path:
        home = "home" if self._keeps_ledger else f"home-{self._lives}"
        admission = {"listen_address": LISTENS, **self._run.steering.files}
        return configure(self._run.directory / home, self._kubeconfig, admission=admission)


WATCHDOG = {"labels": {"alertname": "CppWatchdog", "cluster": "lab", "severity": "none"}, "fingerprint": "w"}


def changes(request: Request) -> bool:
    return request.changes and request.resource != "leases"


def play(directory: Path, steering: Steering, scene: str, point: tuple[int, Side] | None) -> Run:
    directory.mkdir()
    with Run(directory, steering) as run:
        door = run.server.hold(changes, point[1], skip=point[0]).reached if point else None
        keeps_ledger = point is not None and point[0] % 2 == (point[1] is Side.AFTER)
        Player(run, door, keeps_ledger).play(SCENES[scene])
        assert door is None or door.is_set(), f"there is no change {point}"
        return run


@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_any_change_it_leaves_nothing_half_done_and_does_nothing_twice(tmp_path: Path, scene: str) -> None:
    authority = Authority(tmp_path / "authority")
    authority.found()
    steering = Steering(authority, issue(authority))
    clean = play(tmp_path / "clean", steering, scene, None)
    asked = sum(changes(request) for request in clean.server.asked)
    points = [(number, side) for number in range(asked) for side in Side]

    def died(point: tuple[int, Side]) -> tuple[list[tuple[str, ...]], int]:
        run = play(tmp_path / f"{point[0]}-{point[1].value}", steering, scene, point)
        return run.history, run.most_held

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = dict(zip(points, threads.map(died, points), strict=True))
    assert found == dict.fromkeys(points, (clean.history, clean.most_held))
    assert asked >= 5
