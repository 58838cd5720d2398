"""A whole actuator on a stub API server: from a delivery to a pod's limits, and every reason to leave them alone."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from apiserver.faults import Fault, Side, asks
from shop import MIB, Shop

from actuator.carry import Carrier
from actuator.config import Config
from actuator.execute import Executor
from actuator.ledger.sqlite import SqliteLedger
from actuator.model.knowledge import Observation
from actuator.model.orders import Order, Target
from actuator.restore import Restorer, touched
from actuator.service import Outside, Service, build

START = 1_800_000_000.0
SEEN = Observation(
    at=0.0, firing=True, sample_age=1.0, usage=0.4, forecast=0.2, forecast_top=0.2, peak=0.2,
    history_seconds=90_000.0, node_capacity=3.92, node_forecast=0.5,
)  # fmt: skip


@dataclass
class Truth:
    """Prometheus, as the test has it; the same for every container."""

    seen: Observation = SEEN

    def observe(self, order: Order, at: float) -> Observation:
        return replace(self.seen, at=at)


@dataclass
class Whole:
    shop: Shop
    service: Service
    truth: Truth
    config: Config
    clock: list[float] = field(default_factory=lambda: [START])

    def post(self, target: Target, intent: str, resource: str = "cpu", **changes: Any) -> None:
        labels = {
            "alertname": f"Cpp{intent.title()}", "cluster": "lab", "severity": "warning", "intent": intent,
            "resource": resource, **target.__dict__, **changes.pop("labels", {}),
        }  # fmt: skip
        fingerprint = f"{intent}-{target.pod}-{target.container_id[:6]}-{resource}"
        self.deliver({"status": "firing", "labels": labels, "startsAt": "2026-01-01T00:00:00Z",
                      "fingerprint": fingerprint, "annotations": {}, **changes})  # fmt: skip

    def deliver(self, *alerts: dict[str, Any]) -> None:
        body = {"version": "4", "status": "firing", "alerts": list(alerts)}
        headers = {"Authorization": "Bearer secret"}
        assert self.service.app.test_client().post("/alerts", json=body, headers=headers).status_code == 202

    def watchdog(self) -> None:
        self.deliver({"labels": {"alertname": "CppWatchdog", "cluster": "lab"}, "fingerprint": "w"})

    def work(self, after: float = 0.0) -> None:
        self.clock[0] += after
        self.shop.clock.sleep(after)
        self.watchdog()
        self.service.worker.run_once()
        self.service.worker.settle()

    def actions(self) -> list[dict[str, Any]]:
        return self.service.ledger.actions(50)

    def outcomes(self) -> list[str]:
        return sorted(action["outcome"] for action in self.actions())

    def limit(self, name: str = "web-1") -> str:
        limit: str = self.shop.resources(name)["limits"]["cpu"]
        return limit


@pytest.fixture
def whole(shop: Shop, tmp_path: Path) -> Iterator[Whole]:
    yield from begin(shop, tmp_path)


def begin(shop: Shop, directory: Path) -> Iterator[Whole]:
    (directory / "token").write_text("secret")
    config = Config.model_validate(
        {
            "cluster": "lab",
            "dry_run": False,
            "webhook": {"token_file": directory / "token"},
            "ledger": {"path": directory / "ledger.sqlite"},
            "platform": {"kind": "kubernetes"},
        }
    )
    truth, clock = Truth(), [START]
    outside = Outside(shop.platform, Executor(shop.platform), truth)
    service = build(config, outside, None, lambda: clock[0])
    service.worker.run_once()
    yield Whole(shop, service, truth, config, clock)
    service.ledger.close()


def test_a_reclaim_lowers_limit_and_request_and_the_owner_is_told(whole: Whole) -> None:
    whole.post(whole.shop.run(), "reclaim")
    whole.work()
    assert whole.outcomes() == ["done"]
    assert whole.shop.resources()["limits"]["cpu"] == "250m"
    assert whole.shop.resources()["requests"]["cpu"] == "125m"
    assert [event["reason"] for event in whole.shop.events()] == ["Plan"]


def test_a_reclaim_of_memory_leaves_what_is_in_use(whole: Whole) -> None:
    whole.truth.seen = replace(SEEN, usage=20.0 * MIB, peak=20.0 * MIB, forecast_top=20.0 * MIB)
    whole.shop.in_use = 80.0 * MIB
    whole.post(whole.shop.run(), "reclaim", "memory")
    whole.work()
    assert float(whole.shop.resources()["limits"]["memory"]) == pytest.approx(80 * 1.15 * MIB, rel=0.001)


@pytest.mark.parametrize(
    ("annotations", "code"), [({"cpp/opt-out": "true"}, "opted_out"), ({"cpp/opt-out": "perhaps"}, "bad_annotation")]
)
def test_what_the_owner_wrote_is_the_reason_in_the_ledger_and_in_one_event(
    whole: Whole, annotations: dict[str, str], code: str
) -> None:
    target = whole.shop.run(annotations=annotations)
    for _ in range(3):
        whole.post(target, "reclaim")
        whole.work(after=20.0)
    assert whole.outcomes() == [f"refused: {code}"]
    (event,) = whole.shop.events()
    assert event["reason"] == "".join(word.title() for word in code.split("_"))
    assert event["regarding"]["name"] == "web-1"
    assert whole.shop.server.counts["patch", "pods/resize"] == 0


def test_an_autoscaler_on_the_same_resource_is_the_reason_and_on_another_is_none(whole: Whole) -> None:
    owner = [{"kind": "StatefulSet", "name": "web", "uid": "u", "apiVersion": "apps/v1", "controller": True}]
    target = whole.shop.run(ownerReferences=owner)
    metric = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization"}}}
    spec = {"scaleTargetRef": {"kind": "StatefulSet", "name": "web"}, "maxReplicas": 3, "metrics": [metric]}
    scaler = {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    whole.shop.server.add("horizontalpodautoscalers", scaler)
    whole.post(target, "reclaim", "memory")
    whole.work()
    assert whole.outcomes() == ["refused: managed"]
    assert "HorizontalPodAutoscaler web" in whole.shop.events()[0]["note"]
    whole.post(target, "reclaim", "cpu")
    whole.work()
    assert whole.outcomes() == ["done", "refused: managed"]


def test_of_two_alerts_that_contradict_each_other_the_stronger_is_served(whole: Whole) -> None:
    target = whole.shop.run()
    whole.post(target, "reclaim")
    whole.post(target, "relieve")
    for _ in range(4):
        whole.work(after=20.0)
    verdicts = {action["intent"]: action["outcome"] for action in whole.actions()}
    assert verdicts == {"relieve": "done", "reclaim": "refused: stronger_intent"}
    assert whole.limit() == "200m"


def test_an_alert_of_another_cluster_and_one_of_a_pod_that_is_gone_touch_nothing(whole: Whole) -> None:
    target = whole.shop.run()
    whole.post(target, "reclaim", labels={"cluster": "elsewhere"})
    whole.post(replace(target, pod="web-0"), "reclaim")
    whole.work()
    assert whole.outcomes() == ["refused: foreign_cluster", "refused: gone"]
    assert whole.shop.server.counts["patch", "pods/resize"] == 0


def test_clocks_that_differ_are_a_reason_to_wait(whole: Whole) -> None:
    whole.truth.seen = replace(SEEN, clock_skew=-90.0)
    whole.post(whole.shop.run(), "reclaim")
    whole.work()
    assert whole.outcomes() == ["refused: clock_skew"]
    whole.truth.seen = replace(SEEN, clock_skew=5.0)
    whole.work(after=20.0)
    assert whole.outcomes() == ["done"]


def test_what_the_node_can_never_give_is_refused_for_good(whole: Whole) -> None:
    whole.shop.kubelet.postpones = "Infeasible"
    whole.post(whole.shop.run(), "reclaim")
    whole.work()
    assert whole.outcomes() == ["reverted"]
    assert (whole.actions()[0]["state"], whole.actions()[0]["decisions"][-1]["code"]) == ("refused", "infeasible")
    assert whole.limit() == "500m"


def test_what_the_node_has_no_room_for_is_asked_for_ever_later_until_the_deadline(whole: Whole) -> None:
    whole.shop.kubelet.postpones = "Deferred"
    target, waits = whole.shop.run(), []
    whole.post(target, "reclaim")
    for _ in range(12):
        whole.post(target, "reclaim")
        before = whole.shop.server.counts["patch", "pods/resize"]
        whole.work()
        if whole.shop.server.counts["patch", "pods/resize"] > before:
            waits.append(whole.actions()[0]["not_before"] - whole.clock[0])
        whole.clock[0] = max(whole.actions()[0]["not_before"], whole.clock[0]) + 301.0
        if whole.actions()[0]["state"] == "refused":
            break
    assert waits[:4] == [15, 30, 60, 120]
    assert whole.actions()[0]["state"] == "refused"
    assert whole.actions()[0]["decisions"][-1]["code"] == "deferred"
    assert whole.limit() == "500m"


def test_room_that_comes_in_time_is_used(whole: Whole) -> None:
    whole.shop.kubelet.postpones = "Deferred"
    whole.post(whole.shop.run(), "reclaim")
    whole.work()
    assert whole.limit() == "500m"
    whole.shop.kubelet.postpones = ""
    whole.work(after=301.0)
    assert whole.limit() == "250m"


def test_one_that_waits_holds_nobody_up(whole: Whole) -> None:
    slow, quick = whole.shop.run("slow"), whole.shop.run("quick")
    door = whole.shop.server.hold(asks("patch", "pods/resize", "slow"), Side.BEFORE)
    worker = threading.Thread(target=whole.service.worker.run)
    whole.watchdog()
    whole.post(slow, "reclaim", labels={"severity": "critical"})
    worker.start()
    try:
        assert door.reached.wait(20)
        whole.post(quick, "reclaim")
        eventually(lambda: whole.limit("quick") == "250m")
        assert whole.limit("slow") == "500m"
    finally:
        door.opened.set()
        whole.service.worker.stop()
        worker.join(60)


def eventually(true: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def test_one_container_is_never_in_two_hands(whole: Whole) -> None:
    target = whole.shop.run()
    with whole.service.ledger.acting(replace(target, container="beside", container_id="other")) as free:
        assert free
        whole.post(target, "reclaim")
        whole.work()
        assert whole.limit() == "500m"
    whole.work()
    assert whole.limit() == "250m"


def test_the_budget_counts_what_is_planned_in_other_hands(whole: Whole) -> None:
    target = whole.shop.run("slow")
    door = whole.shop.server.hold(asks("patch", "pods/resize", "slow"), Side.BEFORE)
    whole.watchdog()
    whole.post(target, "reclaim")
    whole.service.worker.run_once()
    assert door.reached.wait(20)
    order = whole.service.ledger.order(1)
    assert order is not None
    memory = whole.service.ledger.recall(replace(order, target=whole.shop.run("quick")), None, START)
    door.opened.set()
    whole.service.worker.settle()
    assert memory.actions_last_hour == 1


def test_a_throttle_outlives_a_restart_of_its_container_and_ends_at_the_owners_limit(whole: Whole) -> None:
    target = whole.shop.run()
    whole.post(target, "relieve")
    whole.work()
    assert whole.limit() == "200m"
    again = whole.shop.restart_container()
    whole.post(again, "relieve")
    whole.work(after=400.0)
    (held,) = whole.service.ledger.held()
    assert (held.target, held.owner_limit) == (again, 0.5)
    whole.truth.seen = replace(SEEN, firing=False)
    for _ in range(80):
        whole.work(after=60.0)
    assert whole.limit() == "500m"
    assert whole.service.ledger.throttles() == []


def test_a_throttle_on_a_container_that_restarted_ends_also_without_another_alert(whole: Whole) -> None:
    whole.post(whole.shop.run(), "relieve")
    whole.work()
    whole.shop.restart_container()
    whole.truth.seen = replace(SEEN, firing=False, sample_age=float("inf"))
    for _ in range(15):
        whole.work(after=60.0)
    assert whole.limit() == "500m"


def test_a_pod_that_is_replaced_starts_with_nothing_held_against_it(whole: Whole) -> None:
    whole.post(whole.shop.run(), "relieve")
    whole.work()
    whole.shop.server.store.delete("pods", whole.shop.pod())
    whole.shop.run()
    for _ in range(3):
        whole.work(after=61.0)
    assert whole.service.ledger.held() == []
    assert whole.limit() == "500m"


def restorer(whole: Whole, ledger: SqliteLedger) -> Restorer:
    carrier = Carrier(ledger, Executor(whole.shop.platform), lambda: START)
    return Restorer(ledger, whole.shop.platform, carrier, whole.config.limits, lambda: START)


def test_restore_gives_back_from_the_pod_itself_where_the_ledger_is_lost(whole: Whole, tmp_path: Path) -> None:
    target = whole.shop.run()
    whole.shop.run("untouched")
    whole.post(target, "relieve")
    whole.work()
    empty = SqliteLedger(tmp_path / "empty.sqlite")
    assert touched(empty, whole.shop.platform, None) == [target]
    ((_, said, good),) = restorer(whole, empty).restore(touched(empty, whole.shop.platform, "web-1"))
    assert good, said
    assert whole.limit() == "500m"
    assert whole.shop.annotations() == {}
    assert touched(empty, whole.shop.platform, "untouched") == []
    again = restorer(whole, empty).restore([target])
    assert again == [(target, "the owner's limits are in force", True)]
    empty.close()


def test_restore_of_a_restarted_container_is_of_the_one_that_is_there(whole: Whole) -> None:
    whole.post(whole.shop.run(), "relieve")
    whole.work()
    again = whole.shop.restart_container()
    targets = touched(whole.service.ledger, whole.shop.platform, None)
    assert targets == [again]
    ((_, said, good),) = restorer(whole, whole.service.ledger).restore(targets)
    assert good, said
    assert (whole.limit(), whole.shop.annotations()) == ("500m", {})


def test_an_api_server_that_goes_away_in_the_middle_leaves_no_half_done_resize(whole: Whole) -> None:
    whole.shop.kubelet.postpones = "Deferred"
    whole.post(whole.shop.run(), "reclaim")
    whole.shop.server.faults.add(all_gone := _outage())
    whole.shop.server.drop(asks("patch", "pods/resize"), Side.AFTER)
    whole.work()
    assert whole.limit() == "250m"
    whole.shop.server.faults.clear()
    assert all_gone.times < 10_000
    whole.truth.seen = replace(SEEN, firing=False)
    whole.work(after=20.0)
    assert whole.limit() == "500m"
    assert whole.outcomes() == ["cancelled"]


def _outage() -> Fault:
    seen = threading.Event()

    def after_the_change(request: Any) -> bool:
        if request.resource == "pods/resize":
            seen.set()
            return False
        return seen.is_set()

    return Fault(after_the_change, times=10_000)
