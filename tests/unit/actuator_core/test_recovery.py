"""A crash at any line is followed by recovery, never by a second or half an action."""

from typing import Any

import pytest

GIB = 2**30


class Killed(BaseException):
    """Stands for the end of the process: nothing in it may catch this."""


@pytest.fixture
def kill_in(monkeypatch: Any) -> Any:
    """End the pass before (or after) a method of an object does its work."""

    def arrange(target: Any, name: Any, after: Any = False) -> Any:
        real = getattr(target, name)

        def killed(*arguments: Any) -> Any:
            if after:
                real(*arguments)
            raise Killed

        monkeypatch.setattr(target, name, killed)
        return lambda: monkeypatch.setattr(target, name, real)

    return arrange


def crash(world: Any, mend: Any) -> None:
    with pytest.raises(Killed):
        world.work()
    mend()


def test_killed_between_recording_the_alert_and_acting_it_acts_once(
    world: Any, make_world: Any, make_alert: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    again = make_world()
    again.work()
    again.work()
    assert len(again.kernel.calls) == 1


def test_killed_after_recording_the_step_and_before_the_change_it_acts_once(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    crash(world, kill_in(world.kernel, "set_limit"))
    assert world.steps()[0]["state"] == "started"
    again = make_world()
    again.work()
    again.work()
    assert len(again.kernel.calls) == 1
    assert [step["state"] for step in again.steps()] == ["done"]


def test_killed_after_the_change_and_before_its_record_it_does_not_act_again(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    crash(world, kill_in(world.kernel, "set_limit", after=True))
    again = make_world()
    again.work()
    assert len(again.kernel.calls) == 1
    assert [step["state"] for step in again.steps()] == ["done"]
    assert again.service.ledger.throttles()[0].throttle.before == 1.0


def test_killed_before_the_change_and_the_cause_gone_since_it_leaves_the_limit(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    crash(world, kill_in(world.kernel, "set_limit"))
    world.truth.say(firing=False)
    again = make_world()
    again.work()
    assert again.kernel.calls == []
    assert again.steps()[0]["state"] == "cancelled"


def test_killed_twice_at_the_same_step_it_gives_up(world: Any, make_world: Any, make_alert: Any, kill_in: Any) -> None:
    world.post(make_alert(intent="relieve"))
    mend = kill_in(world.kernel, "set_limit")
    crash(world, lambda: None)
    again = make_world()
    crash(again, mend)
    third = make_world()
    third.service.ledger.hold_order(1, third.clock.now + 60, 0)
    third.work()
    assert third.kernel.calls == []
    assert third.steps()[0]["state"] == "cancelled"


def test_killed_between_the_raise_and_the_end_of_its_reservation_it_ends_both(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert())
    world.work()
    world.post(make_alert(status="resolved"), make_alert(intent="activate"))
    crash(world, kill_in(world.kernel, "set_limit", after=True))
    again = make_world()
    again.work()
    assert [step["state"] for step in again.steps()][:2] == ["done", "done"]
    assert again.service.ledger.reservations() == []
    assert len(again.kernel.calls) == 1


def test_killed_right_after_the_record_of_a_raise_its_reservation_is_gone(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert())
    world.work()
    world.post(make_alert(status="resolved"), make_alert(intent="activate"))
    crash(world, kill_in(world.service.ledger, "end_step", after=True))
    again = make_world()
    again.work()
    assert again.service.ledger.reservations() == []
    assert len(again.kernel.calls) == 1


def test_killed_in_dry_run_after_a_change_of_mind_it_does_not_finish_the_step(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    crash(world, kill_in(world.kernel, "set_limit"))
    again = make_world(dry_run=True)
    again.work()
    assert again.kernel.calls == []


def test_a_step_of_a_container_that_went_away_is_closed(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    crash(world, kill_in(world.kernel, "set_limit"))
    world.kernel.limits.clear()
    again = make_world()
    again.work()
    assert again.steps()[0]["state"] == "cancelled"


def test_while_the_platform_is_away_an_interrupted_step_waits(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    crash(world, kill_in(world.kernel, "set_limit", after=True))
    world.kernel.reachable = False
    again = make_world()
    again.work()
    assert again.steps()[0]["state"] == "started"
    again.kernel.reachable = True
    again.work()
    assert again.steps()[0]["state"] == "done"


def test_while_its_container_is_stopped_an_interrupted_throttle_waits_and_still_ends(
    world: Any, make_world: Any, make_alert: Any, kill_in: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    crash(world, kill_in(world.kernel, "set_limit", after=True))
    world.kernel.running = False
    again = make_world()
    again.work()
    assert again.steps()[0]["state"] == "started"
    again.kernel.running = True
    again.clock.pass_by(700)
    again.work()
    again.clock.pass_by(15)
    again.work()
    assert again.kernel.limits["web", "cpu"] == 1.0


def test_an_alert_resolved_between_plan_and_step_cancels_the_step(
    world: Any, make_alert: Any, monkeypatch: Any
) -> None:
    world.post(make_alert(intent="relieve"))
    observe = world.truth.observe

    def resolve_then_observe(order: Any, at: Any) -> Any:
        if world.truth.asked == 1:
            world.post(make_alert(intent="relieve", status="resolved"))
        return observe(order, at)

    monkeypatch.setattr(world.truth, "observe", resolve_then_observe)
    world.work()
    assert world.kernel.calls == []
    assert world.action()["outcome"] == "cancelled"
    assert world.action()["state"] == "resolved"
