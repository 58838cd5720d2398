"""What is held and what is reserved stay in line, whatever ends a reservation."""

from dataclasses import replace
from typing import Any

import pytest

GIB = 2**30


class Killed(BaseException):
    """Stands for the end of the process: nothing in it may catch this."""


@pytest.fixture
def crash(monkeypatch: Any) -> Any:
    """End a pass before (or after) the platform does one thing."""

    def arrange(world: Any, method: str, after: bool = False) -> None:
        real = getattr(world.kernel, method)

        def killed(*arguments: Any) -> None:
            if after:
                real(*arguments)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(world.kernel, method, killed)
            with pytest.raises(Killed):
                world.work()

    return arrange


@pytest.fixture
def reserved(world: Any, make_alert: Any) -> Any:
    world.post(make_alert())
    world.work()
    assert len(world.service.ledger.reservations()) == len(world.kernel.holds) == 1
    return world


def ended(world: Any) -> dict[str, float]:
    lines = (line for line in world.metrics().splitlines() if line.startswith("cpp_reservations_ended_total"))
    counts = {line.split('"')[1]: float(line.split()[-1]) for line in lines}
    return {end: count for end, count in counts.items() if count}


def test_what_is_reserved_is_held_on_the_platform(reserved: Any) -> None:
    ((_, reservation),) = reserved.service.ledger.reservations()
    assert reserved.kernel.holds == {(reservation.target, "cpu"): reservation.amount}


def test_what_the_platform_cannot_hold_is_not_reserved(world: Any, make_alert: Any) -> None:
    world.kernel.full = True
    world.post(make_alert())
    world.work()
    assert world.service.ledger.reservations() == []
    (step,) = world.steps()
    assert step["state"] == "reverted"
    assert "no room" in step["error"]
    assert 'cpp_refusals_total{reason="deferred"} 1.0' in world.metrics()


def test_a_reservation_whose_room_others_took_ends_with_a_record(reserved: Any) -> None:
    reserved.kernel.holds.clear()
    reserved.clock.pass_by(10)
    reserved.work()
    assert reserved.service.ledger.reservations() == []
    decision = reserved.action()["decisions"][-1]
    assert decision["origin"] == "preempted"
    assert ended(reserved) == {"preempted": 1.0}
    assert [notice.reason for notice in reserved.kernel.notices][-1] == "Preempted"


def test_a_reservation_whose_room_is_held_stays(reserved: Any) -> None:
    for _ in range(3):
        reserved.clock.pass_by(10)
        reserved.work()
    assert len(reserved.service.ledger.reservations()) == 1
    assert ended(reserved) == {}


def test_a_hold_that_no_reservation_explains_is_dropped(reserved: Any) -> None:
    ((target, _),) = reserved.kernel.holds
    reserved.kernel.holds[replace(target, container="old"), "cpu"] = 1.0
    reserved.clock.pass_by(10)
    reserved.work()
    assert set(reserved.kernel.holds) == {(target, "cpu")}


def test_while_a_step_is_under_way_nothing_of_its_container_is_compared(reserved: Any) -> None:
    ((target, _),) = reserved.kernel.holds
    reserved.kernel.holds.clear()
    reserved.clock.pass_by(10)
    with reserved.service.ledger.acting(target) as free:
        assert free
        reserved.work()
        assert len(reserved.service.ledger.reservations()) == 1
    reserved.clock.pass_by(10)
    reserved.work()
    assert reserved.service.ledger.reservations() == []


def test_a_reservation_that_runs_out_is_let_go_of(reserved: Any) -> None:
    ((_, reservation),) = reserved.service.ledger.reservations()
    reserved.clock.now = reservation.expires_at
    reserved.truth.say(firing=False)
    reserved.work()
    assert reserved.kernel.holds == {}
    assert ended(reserved) == {"expired": 1.0}


def test_while_the_platform_is_away_nothing_ends_and_nothing_is_planned(reserved: Any) -> None:
    ((_, reservation),) = reserved.service.ledger.reservations()
    reserved.truth.say(firing=False)
    before = len(reserved.steps())
    reserved.kernel.reachable = False
    for later in range(4):
        reserved.clock.now = reservation.expires_at + 10 * later
        reserved.work()
    assert len(reserved.steps()) == before
    reserved.kernel.reachable = True
    reserved.clock.pass_by(10)
    reserved.work()
    assert reserved.kernel.holds == {}
    assert reserved.service.ledger.reservations() == []


def test_an_activation_and_a_release_are_told_apart(reserved: Any, make_alert: Any) -> None:
    reserved.post(make_alert(status="resolved"), make_alert(intent="activate"))
    reserved.work()
    assert reserved.kernel.holds == {}
    assert ended(reserved) == {"activated": 1.0}


def test_a_demand_that_did_not_come_is_released(reserved: Any, make_alert: Any) -> None:
    reserved.clock.pass_by(600)
    reserved.watchdog()
    reserved.truth.say(usage=0.2)
    reserved.post(make_alert(status="resolved"), make_alert(intent="release"))
    reserved.work()
    assert reserved.kernel.holds == {}
    assert ended(reserved) == {"released": 1.0}


def test_what_is_held_for_a_container_that_is_gone_is_let_go_of(reserved: Any) -> None:
    reserved.kernel.limits.clear()
    for _ in range(2):
        reserved.clock.pass_by(60)
        reserved.work()
    assert reserved.kernel.holds == {}
    assert ended(reserved) == {"gone": 1.0}


def test_killed_between_the_raise_and_letting_go_nothing_is_left_held(
    reserved: Any, make_world: Any, make_alert: Any, crash: Any
) -> None:
    reserved.post(make_alert(status="resolved"), make_alert(intent="activate"))

    crash(reserved, "let_go")
    assert len(reserved.kernel.holds) == 1
    again = make_world()
    again.work()
    assert again.kernel.holds == {}
    assert ended(again) == {"activated": 1.0}
    assert len(again.kernel.calls) == 1


@pytest.mark.parametrize(("changes", "firing"), [({"dry_run": True}, True), ({}, False)])
def test_killed_while_reserving_without_a_cause_any_more_nothing_is_left_held(
    world: Any, make_world: Any, make_alert: Any, crash: Any, changes: dict[str, Any], firing: bool
) -> None:
    world.post(make_alert())
    crash(world, "hold", after=True)
    world.truth.say(firing=firing)
    again = make_world(**changes)
    for _ in range(2):
        again.work()
        again.clock.pass_by(10)
    assert again.kernel.holds == {}
    assert again.service.ledger.reservations() == []


def test_killed_while_reserving_with_its_cause_still_there_it_is_held_once(
    world: Any, make_world: Any, make_alert: Any, crash: Any
) -> None:
    world.post(make_alert())
    crash(world, "hold")
    again = make_world()
    again.work()
    assert len(again.kernel.holds) == len(again.service.ledger.reservations()) == 1
