"""What one leader has acknowledged and begun is in the cluster's objects, and the next one goes on from there."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apiserver.faults import Side, asks
from apiserver.server import StubApiServer
from kubernetes.client import ApiClient
from structlog.testing import capture_logs

from actuator.ledger import touched
from actuator.ledger.database import LedgerError
from actuator.ledger.mirror import COMMON, Mirror
from actuator.ledger.mirrored import MirroredLedger
from actuator.ledger.schema import prepare
from actuator.model.decisions import Plan, Step, StepOutcome, StepState
from actuator.model.knowledge import Allocation, OwnerLimits
from actuator.model.orders import Intent, OrderState, Target
from actuator.platforms.kubernetes.orders import OrderObjects
from actuator.records import Alert, Delivery, Origin, Reading, Wish

HOUR, NOW = 3600.0, 1_767_000_000.0
WEB = Target("n1", "shop", "web-1", "main", "c" * 64)
DB = replace(WEB, pod="db-0")


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_ledger(client: ApiClient, tmp_path: Path, clock: Clock) -> Iterator[Callable[..., MirroredLedger]]:
    made: list[MirroredLedger] = []

    def make(file: str) -> MirroredLedger:
        ledger = MirroredLedger(tmp_path / file, Mirror(OrderObjects(client, "cpp-system"), 300.0, clock))
        made.append(ledger)
        ledger.take_over()
        return ledger

    yield make
    for ledger in made:
        ledger.close()


@pytest.fixture
def ledger(make_ledger: Callable[..., MirroredLedger]) -> MirroredLedger:
    return make_ledger("first.sqlite")


@pytest.fixture
def objects(api_server: StubApiServer) -> Callable[[], dict[str, dict[str, Any]]]:
    """The specifications of containers' objects, by pod."""

    def look() -> dict[str, dict[str, Any]]:
        found = [each for each in api_server.store.find("containerorders") if each["metadata"]["name"] != COMMON]
        return {each["spec"]["target"]["pod"]: each["spec"] for each in found}

    return look


def deliver(
    ledger: MirroredLedger, *targets: Target, intent: Intent = Intent.RELIEVE, firing: bool = True, at: float = NOW
) -> None:
    readings = []
    for target in targets:
        alert = Alert(f"{intent}-{target.pod}", "CppRelieve", firing, "2026-01-01T00:00:00Z", {"pod": target.pod}, {})
        readings.append(Reading(alert, Wish(target, "cpu", intent, "warning", "because")))
    alerts = tuple(reading.alert for reading in readings)
    ledger.record_delivery(Delivery("cpp", "g", alerts, 0), readings, at)


def throttle(ledger: MirroredLedger, target: Target = WEB, at: float = NOW) -> None:
    """Take the first due order through a throttle of ten minutes."""
    order = next(order for order in ledger.due_orders(at) if order.target == target)
    step = Step("set_limit", "cpu", 1.0, 0.5, expires_at=at + 600)
    (record,) = ledger.record_plan(order.id, target, Plan((step,), "it disturbs"), Origin.ORDER, at)
    assert ledger.begin_step(record, at)
    ledger.end_step(record, StepOutcome(StepState.DONE), at)


def writes(server: StubApiServer) -> int:
    return sum(request.changes for request in server.asked)


def test_every_table_about_a_container_is_watched() -> None:
    connection = sqlite3.connect(":memory:")
    prepare(connection)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in tables}
    assert {table for table in tables if "target" in columns[table]} | {"alerts", "meta"} == set(touched._WHOM)


def test_an_acknowledged_alert_is_an_object_that_people_can_read(ledger: MirroredLedger, objects: Any) -> None:
    deliver(ledger, WEB)
    deliver(ledger, WEB, intent=Intent.QUARANTINE)
    spec = objects()["web-1"]
    assert (spec["container"], spec["intents"]) == ("shop/web-1/main", "quarantine, relieve")
    assert (spec["throttledUntil"], spec["cooldownUntil"], spec["reserved"]) == ("", "", "")
    throttle(ledger)
    spec = objects()["web-1"]
    assert (spec["throttledUntil"], spec["cooldownUntil"]) == ("2025-12-29T09:30:00Z", "2025-12-29T09:25:00Z")


def test_what_changes_nothing_is_not_written(ledger: MirroredLedger, api_server: StubApiServer) -> None:
    deliver(ledger, WEB, DB)
    before = writes(api_server)
    deliver(ledger, WEB, DB, at=NOW + 300)
    order = ledger.due_orders(NOW)[0]
    ledger.hold_order(order.id, NOW + 15, 3)
    ledger.expire_orders(NOW - HOUR, NOW)
    ledger.prune(NOW - HOUR)
    assert writes(api_server) == before


def test_each_touched_container_is_written_once_in_a_transaction(
    ledger: MirroredLedger, api_server: StubApiServer
) -> None:
    before = writes(api_server)
    deliver(ledger, WEB, DB)
    assert writes(api_server) == before + 2
    throttle(ledger)
    assert writes(api_server) == before + 4  # begun, ended; a plan of which nothing is begun is no one else's business


@pytest.mark.parametrize("status", [403, 409, 500])
def test_what_cannot_be_written_is_not_acknowledged(
    ledger: MirroredLedger, api_server: StubApiServer, objects: Any, status: int
) -> None:
    api_server.refuse(status, asks("create", "containerorders"))
    with pytest.raises(LedgerError, match="is not written"):
        deliver(ledger, WEB)
    assert ledger.due_orders(NOW) == []
    assert not ledger.writable
    deliver(ledger, WEB)
    assert [order.target for order in ledger.due_orders(NOW)] == [WEB]
    assert list(objects()) == ["web-1"]
    assert ledger.writable


def test_a_transaction_of_two_containers_of_which_one_cannot_be_written_is_tried_again_as_a_whole(
    ledger: MirroredLedger, api_server: StubApiServer, objects: Any
) -> None:
    deliver(ledger, WEB)
    api_server.refuse(500, asks("create", "containerorders"))
    with pytest.raises(LedgerError):
        deliver(ledger, WEB, DB, intent=Intent.QUARANTINE)
    deliver(ledger, WEB, DB, intent=Intent.QUARANTINE)
    assert len(ledger.due_orders(NOW)) == 3
    assert [spec["intents"] for spec in objects().values()] == ["quarantine, relieve", "quarantine"]


def test_a_write_whose_answer_was_lost_is_believed_and_not_doubled(
    ledger: MirroredLedger, api_server: StubApiServer, objects: Any
) -> None:
    api_server.drop(asks("create", "containerorders"), Side.AFTER)
    with pytest.raises(LedgerError):
        deliver(ledger, WEB)
    deliver(ledger, WEB)
    assert len(ledger.due_orders(NOW)) == 1
    assert len(objects()["web-1"]["rows"]["orders"]) == 1


def test_while_the_api_server_is_away_nothing_is_taken_and_then_all_goes_on(
    ledger: MirroredLedger, api_server: StubApiServer
) -> None:
    deliver(ledger, WEB)
    api_server.stop()
    for _ in range(2):
        with pytest.raises(LedgerError):
            deliver(ledger, DB)
    api_server.start()
    deliver(ledger, DB)
    assert [order.target for order in ledger.due_orders(NOW)] == [WEB, DB]


def test_a_busy_api_server_is_waited_for(ledger: MirroredLedger, api_server: StubApiServer) -> None:
    api_server.refuse(429, asks("create", "containerorders"), retry_after=1)
    deliver(ledger, WEB)
    assert len(ledger.due_orders(NOW)) == 1


def test_a_new_leader_knows_orders_throttles_rest_and_owner_limits(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger], clock: Clock
) -> None:
    deliver(ledger, WEB, DB)
    throttle(ledger)
    clock.now += 20
    second = make_ledger("second.sqlite")
    assert [(order.target, order.intent) for order in second.due_orders(clock.now)] == [
        (WEB, Intent.RELIEVE),
        (DB, Intent.RELIEVE),
    ]
    assert second.throttles() == ledger.throttles()
    assert second.held() == ledger.held()
    memory = second.recall(second.due_orders(clock.now)[0], None, clock.now)
    assert memory.last_action_at == NOW
    assert memory.actions_last_hour == 1
    assert second.action(second.due_orders(NOW)[0].id)["decisions"][0]["steps"][0]["state"] == "done"


def test_an_alert_delivered_to_two_leaders_is_one_order(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger]
) -> None:
    deliver(ledger, WEB)
    second = make_ledger("second.sqlite")
    deliver(second, WEB)
    assert [order.id for order in second.due_orders(NOW)] == [order.id for order in ledger.due_orders(NOW)]
    deliver(second, WEB, firing=False)
    assert second.due_orders(NOW) == []


def test_a_new_leader_finds_what_was_underway_and_ends_it_once(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger], objects: Any
) -> None:
    deliver(ledger, WEB)
    (order,) = ledger.due_orders(NOW)
    steps = (Step("set_limit", "cpu", 1.0, 2.0), Step("release", "cpu", 1.0, None))
    records = ledger.record_plan(order.id, WEB, Plan(steps, "demand"), Origin.ORDER, NOW)
    assert "steps" not in objects()["web-1"]["rows"]
    ledger.begin_step(records[0], NOW)
    second = make_ledger("second.sqlite")
    (found,) = second.interrupted()
    assert found == replace(records[0], state=StepState.STARTED, starts=1)
    assert [record.step for record in second.planned()] == [steps[1]]
    second.end_step(found, StepOutcome(StepState.DONE), NOW)
    assert make_ledger("third.sqlite").interrupted() == []


def test_no_two_leaders_give_the_same_number(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger]
) -> None:
    numbers = []
    for name in ("first", "second", "first", "third"):
        one = make_ledger(f"{name}.sqlite")
        deliver(one, WEB)
        (order,) = one.due_orders(NOW)
        throttle(one)
        numbers += [order.id, one.action(order.id)["decisions"][-1]["steps"][0]["id"]]
        deliver(one, WEB, firing=False)
    assert len(set(numbers[::2])) == len(set(numbers[1::2])) == 4


def test_a_former_leader_that_leads_again_knows_what_the_other_has_ended(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger]
) -> None:
    deliver(ledger, WEB, DB)
    throttle(ledger)
    second = make_ledger("second.sqlite")
    second.end_throttle(WEB, "cpu", NOW)
    deliver(second, WEB, firing=False)
    ledger.take_over()
    assert [order.target for order in ledger.due_orders(NOW)] == [DB]
    assert ledger.throttles() == []
    assert len(ledger.actions(10)) == 2


def test_a_former_leader_that_does_not_know_it_yet_writes_nothing(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger]
) -> None:
    deliver(ledger, WEB)
    second = make_ledger("second.sqlite")
    throttle(second)
    with pytest.raises(LedgerError):
        deliver(ledger, WEB, firing=False)
    with pytest.raises(LedgerError):
        ledger.put("paused", "1")
    with pytest.raises(LedgerError, match="another replica leads"):
        ledger.put("paused", "1")
    assert second.get("paused") is None
    assert [order.state for order in second.due_orders(NOW)] == [OrderState.OPEN]


def test_the_switch_and_the_watchdog_outlive_a_leader(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger]
) -> None:
    ledger.put("paused", "1")
    ledger.put("watchdog_last_seen", repr(NOW))
    second = make_ledger("second.sqlite")
    assert (second.get("paused"), second.get("watchdog_last_seen")) == ("1", repr(NOW))


def test_a_reservation_that_never_ends_by_itself_keeps_for_ever(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger], objects: Any
) -> None:
    deliver(ledger, WEB, intent=Intent.RESERVE)
    (order,) = ledger.due_orders(NOW)
    step = Step("reserve", "cpu", 0.0, 0.25, due_at=NOW + 60)
    (record,) = ledger.record_plan(order.id, WEB, Plan((step,), "forecast"), Origin.ORDER, NOW)
    ledger.begin_step(record, NOW)
    ledger.end_step(record, StepOutcome(StepState.DONE), NOW)
    assert objects()["web-1"]["reserved"] == "cpu 0.25"
    ((order_id, reservation),) = make_ledger("second.sqlite").reservations()
    assert (order_id, reservation.amount) == (order.id, 0.25)
    assert reservation.expires_at > NOW + 1e9


def test_an_object_goes_when_nothing_is_left_to_remember(ledger: MirroredLedger, objects: Any, clock: Clock) -> None:
    deliver(ledger, WEB)
    throttle(ledger)
    deliver(ledger, WEB, firing=False)
    ledger.end_throttle(WEB, "cpu", NOW)
    ledger.forget_container(WEB)
    assert list(objects()) == ["web-1"]
    clock.now += 25 * HOUR
    ledger.prune(NOW)
    assert objects() == {}


def test_what_a_restarted_container_takes_over_is_in_its_own_object_only(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger], api_server: StubApiServer
) -> None:
    deliver(ledger, WEB)
    throttle(ledger)
    again = replace(WEB, container_id="d" * 64)
    now = Allocation(0.5, 2.0**30, 0.0, 4.0, 2.0**33, True, False, owner=OwnerLimits(again, 1.0, 2.0**30))
    ledger.note_allocation(again, now, NOW)
    found = [each for each in api_server.store.find("containerorders") if each["metadata"]["name"] != COMMON]
    (holder,) = [each for each in found if {"held", "throttles"} & set(each["spec"]["rows"])]
    assert holder["spec"]["target"]["containerID"] == again.container_id
    second = make_ledger("second.sqlite")
    assert [each.throttle.target for each in second.throttles()] == [again]
    assert [each.target for each in second.held()] == [again]


def test_an_object_that_somebody_removed_is_written_again(
    ledger: MirroredLedger, api_server: StubApiServer, objects: Any
) -> None:
    deliver(ledger, WEB)
    (found,) = [each for each in api_server.store.find("containerorders") if each["metadata"]["name"] != COMMON]
    api_server.store.delete("containerorders", found)
    throttle(ledger)
    assert objects()["web-1"]["rows"]["throttles"]


@pytest.mark.parametrize(
    "change",
    [
        {"target": "web"},
        {"rows": "none"},
        {"rows": {"orders": [7]}},
        {"rows": {"orders": [{"id": 1, "state": "open"}]}},
        {"rows": {"steps": [{"id": 1, "surprise": 2}]}},
    ],
)
def test_an_object_that_makes_no_sense_is_said_and_keeps_nobody_from_leading(
    ledger: MirroredLedger,
    make_ledger: Callable[..., MirroredLedger],
    api_server: StubApiServer,
    change: dict[str, Any],
) -> None:
    deliver(ledger, WEB, DB)
    found = next(each for each in api_server.store.find("containerorders") if "web" in each["metadata"]["name"])
    api_server.store.update("containerorders", found, {**found, "spec": {**found["spec"], **change}})
    with capture_logs() as logs:
        second = make_ledger("second.sqlite")
    assert [entry["object"] for entry in logs] == [found["metadata"]["name"]]
    assert [order.target for order in second.due_orders(NOW)] == [DB]
    for _ in range(2):  # a doubt about what is there may take one try
        try:
            deliver(second, WEB)
        except LedgerError:
            continue
    assert len(second.due_orders(NOW)) == 2


def test_steps_taken_on_another_container_keep_their_order_and_do_not_open_it(
    ledger: MirroredLedger, make_ledger: Callable[..., MirroredLedger]
) -> None:
    deliver(ledger, WEB)
    (order,) = ledger.due_orders(NOW)
    step = Step("set_limit", "cpu", 1.0, 0.5, expires_at=NOW + 600)
    (record,) = ledger.record_plan(order.id, DB, Plan((step,), "the culprit"), Origin.ORDER, NOW)
    ledger.begin_step(record, NOW)
    ledger.end_step(record, StepOutcome(StepState.DONE), NOW)
    deliver(ledger, WEB, firing=False)
    second = make_ledger("second.sqlite")
    assert second.due_orders(NOW) == []
    assert second.action(order.id)["target"]["pod"] == "web-1"
    assert [each.throttle.target for each in second.throttles()] == [DB]


def test_objects_hold_plain_json(ledger: MirroredLedger, objects: Any) -> None:
    deliver(ledger, WEB)
    throttle(ledger)
    assert json.loads(json.dumps(objects(), allow_nan=False)) == objects()
