import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from apiserver.faults import Side, asks
from apiserver.nodes import node, pod
from apiserver.patches import apply_operations
from apiserver.server import StubApiServer
from apiserver.store import Object
from kubernetes.client import ApiClient

from actuator.config import Config
from actuator.model.decisions import Plan, Step, StepOutcome, StepState
from actuator.model.knowledge import Observation
from actuator.model.orders import Order, OrderState, Target
from actuator.moving import Hands, Moving
from actuator.observe import Sample
from actuator.outlook import Scout
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.cluster_view import ClusterView
from actuator.platforms.kubernetes.moves import Moves
from actuator.platforms.kubernetes.placeholders import Placeholders
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.settings import KubernetesConfig
from actuator.records import Origin
from actuator.relocate import MovingExecutor
from actuator.service import Outside, Service, build
from actuator.steering import Steering

HOME = "cpp-system"
WEB = {"app": "web"}


class KilledError(BaseException):
    """The process dies here."""


@dataclass
class Fragile:
    """Hands that die once, before or after one kind of touch."""

    hands: Hands
    at: str = ""
    side: Side = Side.BEFORE
    touched: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def touch(*arguments: Any) -> Any:
            self._die(name, Side.BEFORE)
            self.touched.append(name)
            result = getattr(self.hands, name)(*arguments)
            self._die(name, Side.AFTER)
            return result

        return touch

    def _die(self, name: str, side: Side) -> None:
        if (name, side) == (self.at, self.side):
            self.at = ""
            raise KilledError


@dataclass
class Truth:
    """An observer whose alert holds, and the series that moves are decided on."""

    firing: bool = True
    cores: dict[str, float] = field(default_factory=lambda: {"n1": 3.0, "n2": 2.0, "n3": 0.4})

    def observe(self, order: Order, at: float) -> Observation:
        return Observation(at=at, firing=self.firing, sample_age=1.0, usage=0.5)

    def query(self, expression: str, at: float) -> list[Sample]:
        if "cpp_node_" in expression:
            return [sample for name, cores in self.cores.items() for sample in self._node(name, cores, at)]
        who = {"node": "n1", "namespace": "shop", "pod": "web-1", "container": "main", "resource": "cpu"}
        suffers = ({**who, "__name__": "cpp_interference_suffered_ratio"}, 0.5)
        return [suffers, ({**who, "__name__": "cpp_cpu_forecast_cores", "level": "0.9"}, 0.5)]

    def _node(self, name: str, cores: float, at: float) -> Iterator[Sample]:
        for resource, unit, use in (("cpu", "cores", cores), ("memory", "bytes", 2.0**30)):
            yield {"__name__": f"cpp_node_{resource}_forecast_{unit}", "node": name, "level": "0.9"}, use
        yield {"__name__": "cpp_last_sample_timestamp_seconds", "source": "cadvisor", "node": name}, at


class World:
    """A whole actuator but for its threads and sockets, on a cluster that acts at once."""

    def __init__(self, server: StubApiServer, client: ApiClient, directory: Path) -> None:
        self.server, self.truth, self.directory = server, Truth(), directory
        self.settings = KubernetesConfig(placeholder_patience=0.1)
        self.api = ClusterApi(client, 5.0)
        self.hands = Fragile(Moves(self.api, Placeholders(self.api, self.settings)))
        self.now = time.time()
        self.skips, self.unsteered = 0.0, ""
        self.service = self.start()
        self._admit(server.store.create)

    def start(self) -> Service:
        (self.directory / "token").write_text("secret")
        config = Config.model_validate(
            {
                "dry_run": False,
                "webhook": {"token_file": self.directory / "token"},
                "ledger": {"path": self.directory / "ledger.sqlite"},
                "prometheus": {"scrape_interval": "1s"},
            }
        )
        platform = KubernetesPlatform(self.api, self.settings, lambda _: None)
        scout = Scout(self.truth.query, 15.0)
        moving = Moving(ClusterView(self.api, HOME), self.hands, scout, lambda: self.unsteered)
        executor = MovingExecutor(platform, self.hands, lambda: self.unsteered)
        self.service = build(config, Outside(platform, executor, self.truth, moving=moving), None, self.clock)
        self.work()  # only who has taken over takes alerts
        self.alert("CppWatchdog")
        return self.service

    def clock(self) -> float:
        return time.time() + self.skips

    def _admit(self, create: Callable[[str, str, Object], Object]) -> None:
        """Let the webhook change each pod that is made; it frees room in the store itself, which is locked."""

        def admitted(plural: str, namespace: str, document: Object) -> Object:
            if plural == "pods" and namespace != HOME:
                steering = Steering(self.service.ledger, self, self.clock)  # type: ignore[arg-type]
                document = apply_operations(document, steering.patch(document, namespace, dry_run=False))
            return create(plural, namespace, document)

        self.server.store.create = admitted  # type: ignore[method-assign]

    def clear(self, uid: str) -> None:
        for found in self.placeholders():
            self.server.store.delete("pods", found)

    def steered(self, namespace: str, uid: str) -> bool:
        return False

    def evicted_before(self, name: str) -> None:
        """Record a move, elsewhere in the cluster, whose pod is evicted and has no replacement yet."""
        target, ledger, at = Target("n8", "away", name, "main", name.ljust(64, "0")), self.service.ledger, self.clock()
        kinds = ("place", "steer", "evict", "land", "clear")
        steps = tuple(Step(kind, "", None, None, at + 180, node="n9", uid=f"{kind}-{name}") for kind in kinds)
        order = ledger.open_restore(target, at)
        for record in ledger.record_plan(order, target, Plan(steps, ""), Origin.ORDER, at)[:3]:
            ledger.begin_step(record, at)
            ledger.end_step(record, StepOutcome(StepState.DONE), at)
        ledger.close_order(order, OrderState.RESOLVED, at)

    def alert(self, name: str, status: str = "firing", **labels: str) -> None:
        alert = {"status": status, "labels": {"alertname": name, **labels}, "startsAt": "2026-01-01T00:00:00Z"}
        headers = {"Authorization": "Bearer secret"}
        body = {"version": "4", "alerts": [alert]}
        assert self.service.app.test_client().post("/alerts", json=body, headers=headers).status_code == 202

    def migrate(self, status: str = "firing", intent: str = "migrate", name: str = "web-1") -> None:
        found = self.pods()[name]
        container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        who = {"node": "n1", "namespace": "shop", "pod": name, "container": "main", "container_id": container}
        self.alert("CppMigrate", status, intent=intent, resource="cpu", severity="warning", **who)

    def work(self, passes: int = 1) -> None:
        for _ in range(passes):
            self.service.worker.run_once()
            self.service.worker.settle()
            self.skips += 5.0  # a move is not looked at more often

    def pods(self) -> dict[str, Object]:
        return {found["metadata"]["name"]: found for found in self.server.store.find("pods", "shop")}

    def placeholders(self) -> list[Object]:
        return self.server.store.find("pods", HOME)

    def steps(self) -> dict[str, Any]:
        (action,) = self.actions()
        plans = [decision for decision in action["decisions"] if decision["kind"] == "plan"]
        return {step["kind"]: step for step in plans[-1]["steps"]}

    def states(self) -> dict[str, str]:
        return {kind: step["state"] for kind, step in self.steps().items()}

    def actions(self) -> list[dict[str, Any]]:
        actions: list[dict[str, Any]] = self.service.app.test_client().get("/actions").get_json()["actions"]
        return actions

    def metrics(self) -> str:
        return self.service.app.test_client().get("/metrics").get_data(as_text=True)

    def evictions(self) -> int:
        return self.server.counts["create", "pods/eviction"]

    def reasons(self) -> list[str]:
        return [decision["code"] for decision in self.actions()[0]["decisions"]]


@pytest.fixture
def world(living: StubApiServer, client: ApiClient, tmp_path: Path) -> Iterator[World]:
    living.add("namespaces", {"metadata": {"name": "shop", "labels": {"cpp/steer": "enabled"}}})
    for name in ("n1", "n2", "n3"):
        living.add("nodes", node(name))
    owner = {"kind": "ReplicaSet", "name": "web", "uid": "set-web", "controller": True}
    for number in (1, 2):
        document = pod(f"web-{number}", "shop", {"cpu": "500m", "memory": "1Gi"}, {}, nodeName="n1")
        document["metadata"] |= {"labels": WEB, "ownerReferences": [owner]}
        living.add("pods", document)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as directory:
        yield World(living, client, Path(directory))


DONE = dict.fromkeys(("place", "steer", "evict", "land", "clear"), "done")


def test_a_pod_moves_to_the_node_with_most_room_and_leaves_nothing_behind(world: World) -> None:
    world.migrate()
    world.work(3)
    assert world.states() == DONE
    (moved,) = set(world.pods()) - {"web-2"}
    assert world.pods()[moved]["spec"]["nodeName"] == "n3"
    annotations = world.pods()[moved]["metadata"]["annotations"]
    assert annotations["cpp/moved-from"]
    assert float(annotations["cpp/moved-at"]) == pytest.approx(world.clock(), abs=30)
    assert world.placeholders() == []
    assert (world.steps()["land"]["node"], world.steps()["land"]["after_raw"]) == ("n3", "n3")
    assert world.evictions() == 1


def test_a_pod_that_requests_nothing_moves_too(world: World) -> None:
    world.pods()["web-1"]["spec"]["containers"][0]["resources"] = {}
    world.migrate()
    world.work(3)
    assert world.states() == DONE


def test_while_the_eviction_is_asked_for_room_is_held_on_the_target(world: World) -> None:
    held: list[Object] = []

    def note(event: str, plural: str, changed: Object) -> None:
        if (event, plural) == ("deleted", "pods") and changed["metadata"]["namespace"] == "shop":
            held.extend(world.placeholders())

    world.server.store.watchers.insert(0, note)
    world.migrate()
    world.work()
    (placeholder,) = held
    assert placeholder["spec"]["nodeName"] == "n3"
    assert placeholder["spec"]["priorityClassName"] == "cpp-shadow"
    assert placeholder["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": str(2**30)}


def test_the_pod_that_is_left_is_not_moved_after_it(world: World) -> None:
    world.migrate()
    world.work(3)
    found = world.pods()["web-2"]
    container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    who = {"node": "n1", "namespace": "shop", "pod": "web-2", "container": "main", "container_id": container}
    world.alert("CppMigrate", intent="migrate", resource="cpu", severity="warning", **who)
    world.work()
    assert world.reasons() == ["effect_pending"]
    world.skips = 700.0
    world.alert("CppWatchdog")
    world.alert("CppMigrate", intent="migrate", resource="cpu", severity="warning", **who)
    world.work()
    assert world.reasons()[-1] == "moved_lately"
    assert world.evictions() == 1


def test_of_two_moves_decided_in_one_pass_the_second_knows_of_the_first(world: World) -> None:
    begun, truth = threading.Event(), world.service.worker._peers.verdicts.truth
    at_once = truth.refusal
    truth.refusal = lambda order: at_once(order) if begun.wait(10) else None  # type: ignore[method-assign]
    world.migrate()
    world.migrate(name="web-2")
    world.service.worker.run_once()
    begun.set()
    world.service.worker.settle()
    assert sorted(action["outcome"] for action in world.actions()) == ["done", "refused: move_underway"]
    assert world.evictions() == 1


def test_a_budget_that_forbids_at_the_last_moment_leaves_the_pod_and_clears_the_rest(world: World) -> None:
    world.server.refuse(429, asks("create", "pods/eviction"), times=9)
    world.migrate()
    world.work()
    assert world.reasons() == ["plan", "disruption_budget"]
    assert sum(map(asks("create", "pods/eviction"), world.server.asked)) == 1
    world.work()
    assert world.states() == DONE | {"evict": "reverted", "land": "cancelled"}
    assert set(world.pods()) == {"web-1", "web-2"}
    assert world.placeholders() == []


def test_steering_that_fails_before_the_eviction_leaves_the_pod_and_is_told_as_a_refusal(world: World) -> None:
    def fail(name: str, side: Side) -> None:
        world.unsteered = "the certificate ended" if (name, side) == ("place", Side.AFTER) else world.unsteered

    world.hands._die = fail  # type: ignore[method-assign]
    world.migrate()
    world.work()
    assert world.reasons() == ["plan", "steering_down"]
    world.work()
    assert world.states() == DONE | {"evict": "reverted", "land": "cancelled"}
    assert world.evictions() == 0
    assert world.placeholders() == []
    assert set(world.pods()) == {"web-1", "web-2"}


def test_where_nobody_would_be_steered_no_move_is_begun(world: World) -> None:
    world.unsteered = "the certificate ended"
    world.migrate()
    world.work()
    assert world.reasons() == ["steering_down"]
    assert 'cpp_refusals_total{reason="steering_down"} 1.0' in world.metrics()
    assert world.placeholders() == []


def test_a_target_that_fills_up_before_the_eviction_ends_the_move(world: World) -> None:
    world.hands.at, world.hands.side = "evict", Side.BEFORE
    world.hands._die = lambda name, side: name == "evict" and side is Side.BEFORE and world.clear("")  # type: ignore[method-assign,assignment,func-returns-value]
    world.migrate()
    world.work(2)
    assert world.states() == DONE | {"evict": "reverted", "land": "cancelled"}
    assert "taken the room" in world.steps()["evict"]["error"]
    assert world.evictions() == 0


def test_where_the_scheduler_finds_no_room_nothing_is_touched(world: World) -> None:
    blocker = pod("blocker", "other", {"cpu": "3900m"}, {}, nodeName="n3")
    world.hands._die = lambda name, side: (  # type: ignore[method-assign,assignment]
        world.server.add("pods", blocker) if (name, side) == ("place", Side.BEFORE) else None
    )
    world.migrate()
    world.work(2)
    assert world.states() == {
        "place": "reverted", "steer": "cancelled", "evict": "cancelled", "land": "cancelled", "clear": "done"
    }  # fmt: skip
    assert world.placeholders() == []
    assert set(world.pods()) == {"web-1", "web-2"}


def test_an_alert_that_ends_in_the_middle_does_not_leave_a_move_half_done(world: World) -> None:
    world.hands._die = lambda name, side: (  # type: ignore[method-assign,assignment]
        world.migrate("resolved") if (name, side) == ("place", Side.AFTER) else None
    )
    world.migrate()
    world.work(2)
    assert world.states() == DONE
    assert world.placeholders() == []


def test_a_cause_that_is_gone_before_the_eviction_stops_it(world: World) -> None:
    def gone(name: str, side: Side) -> None:
        if (name, side) == ("place", Side.AFTER):
            world.truth.firing = False

    world.hands._die = gone  # type: ignore[method-assign]
    world.migrate()
    world.work(2)
    assert world.evictions() == 0
    assert world.states() == {
        "place": "done", "steer": "cancelled", "evict": "cancelled", "land": "cancelled", "clear": "done"
    }  # fmt: skip
    assert world.placeholders() == []


def test_landing_elsewhere_is_recorded_and_not_tried_again(world: World) -> None:
    world._admit = None  # type: ignore[assignment,method-assign]
    del world.server.store.create  # the webhook is not asked, as where it cannot be reached
    world.truth.cores = {"n1": 3.0, "n2": 0.4, "n3": 2.0}
    for name in ("n2",):
        world.server.add("pods", pod("other", "other", {"cpu": "3"}, {}, nodeName=name))
    for found in world.pods().values():
        found["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    world.migrate()
    world.work(3)
    assert world.states() == DONE
    assert (world.steps()["land"]["node"], world.steps()["land"]["after_raw"]) == ("n2", "n3")
    assert world.evictions() == 1
    assert world.placeholders() == []


def test_a_pod_that_came_after_the_decision_and_before_the_eviction_is_no_replacement(world: World) -> None:
    del world.server.store.create  # the webhook is not asked
    store = world.server.store
    store.watchers = [each for each in store.watchers if type(each).__name__ != "ReplicaSets"]
    for found in world.pods().values():
        found["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    another = pod("web-3", "shop", {"cpu": "500m", "memory": "1Gi"}, {}, nodeName="n2")
    another["metadata"] |= {"ownerReferences": world.pods()["web-2"]["metadata"]["ownerReferences"]}
    world.hands._die = lambda name, side: (  # type: ignore[method-assign,assignment]
        world.server.add("pods", another) if (name, side) == ("place", Side.BEFORE) else None
    )
    world.migrate()
    world.work(3)
    assert set(world.pods()) == {"web-2", "web-3"}
    assert world.states()["land"] == "started"


def test_a_replacement_that_is_never_ready_is_not_waited_for_without_end(world: World) -> None:
    world.server.store.watchers = [each for each in world.server.store.watchers if type(each).__name__ != "Kubelet"]
    world.server.store.watchers.append(_running_placeholders(world))
    world.migrate()
    world.work(2)
    assert world.states()["land"] == "started"
    assert world.states()["clear"] == "planned"
    world.skips += 181.0
    world.work()
    assert world.states() == DONE | {"land": "failed"}
    assert "not Ready" in world.steps()["land"]["error"]


def test_a_move_that_waits_is_looked_at_every_few_seconds(world: World) -> None:
    world.evicted_before("waiting")
    for _ in range(4):
        world.service.worker.run_once()
        world.service.worker.settle()
    assert world.hands.touched.count("landing") == 1
    world.skips += 5.0
    world.service.worker.run_once()
    world.service.worker.settle()
    assert world.hands.touched.count("landing") == 2


def test_moves_that_wait_leave_a_hand_to_orders_and_none_is_forgotten(world: World) -> None:
    for number in range(12):
        world.evicted_before(f"waiting-{number}")
    answered = threading.Event()
    world.hands._die = lambda name, side: None if name != "landing" else answered.wait(10)  # type: ignore[method-assign,assignment,func-returns-value]
    world.service.worker.run_once()
    world.migrate()
    world.service.worker.run_once()
    deadline = time.monotonic() + 5
    while not world.evictions() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert world.evictions() == 1
    answered.set()
    world.service.worker.settle()
    world.service.worker.run_once()
    world.service.worker.settle()
    assert world.hands.touched.count("landing") >= 12


def _running_placeholders(world: World) -> Callable[[str, str, Object], None]:
    return lambda event, plural, changed: None


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("touch", ["place", "evict", "landing", "clear"])
def test_a_crash_at_any_touch_leaves_no_half_move_and_nothing_is_done_twice(
    world: World, touch: str, side: Side
) -> None:
    world.hands.at, world.hands.side = touch, side
    world.migrate()
    with suppress(KilledError):
        world.work(3)
    assert world.hands.at == "", "it died"
    world.start()
    world.work(4)
    assert world.placeholders() == []
    assert world.service.ledger.migrations() == []
    assert world.service.ledger.interrupted() == world.service.ledger.planned() == []
    assert world.evictions() <= 1
    assert len(world.pods()) == 2


@pytest.mark.parametrize("side", Side)
def test_an_eviction_without_an_answer_is_looked_up_and_not_repeated(world: World, side: Side) -> None:
    world.server.drop(asks("create", "pods/eviction"), side)
    world.migrate()
    world.work(3)
    done = side is Side.AFTER
    assert world.states() == (DONE if done else DONE | {"evict": "reverted", "land": "cancelled"})
    assert ("web-1" in world.pods()) is not done
    assert world.placeholders() == []
    assert len(world.pods()) == 2


def test_an_api_server_that_goes_away_in_the_middle_of_an_eviction_is_waited_for(world: World) -> None:
    def away(name: str, side: Side) -> None:
        if (name, side) == ("evict", Side.BEFORE):
            world.server.drop(asks("create", "pods/eviction"), Side.AFTER)
            world.server.drop(asks("get", "pods", "web-1"), Side.BEFORE, times=2)

    world.hands._die = away  # type: ignore[method-assign]
    world.migrate()
    world.service.worker.run_once()
    world.service.worker.settle()
    assert world.states()["evict"] == "started"
    world.work(3)
    assert world.states() == DONE
    assert world.evictions() == 1


def test_what_is_held_for_a_move_that_nobody_knows_is_dropped(world: World) -> None:
    stray = pod("shadow-move-stranger", HOME, {"cpu": "1"}, {}, nodeName="n2")
    stray["metadata"]["labels"] = {"cpp/part": "shadow", "cpp/shadow": "move"}
    world.server.add("pods", stray)
    world.skips = 61.0
    world.work()
    assert world.placeholders() == []


def test_in_dry_run_a_move_is_only_written_down(world: World) -> None:
    peers = world.service.worker._peers
    only_writing = replace(peers.verdicts, config=peers.verdicts.config.model_copy(update={"dry_run": True}))
    world.service.worker._peers = replace(peers, verdicts=only_writing)
    world.migrate()
    world.work(2)
    assert set(world.states().values()) == {"dry_run"}
    assert world.evictions() == 0
    assert set(world.pods()) == {"web-1", "web-2"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda found: found["metadata"].pop("ownerReferences"), "bare_pod"),
        (lambda found: found["spec"].update(volumes=[{"name": "data", "emptyDir": {}}]), "local_volume"),
        (lambda found: found["metadata"]["ownerReferences"][0].update(uid="set-other"), "single_replica"),
    ],
)
def test_what_must_not_be_moved_is_left_where_it_is(
    world: World, change: Callable[[Object], None], reason: str
) -> None:
    change(world.pods()["web-1"])
    world.migrate()
    world.work(2)
    assert world.reasons()[-1] == reason
    assert world.evictions() == 0
    assert world.placeholders() == []


def test_a_quarantine_without_isolated_nodes_says_so_and_touches_nothing(world: World) -> None:
    world.migrate(intent="quarantine")
    world.work()
    assert world.reasons() == ["no_isolated_node"]
    assert world.evictions() == 0
