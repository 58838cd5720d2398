"""Throttles end by themselves, are loosened when their cause is gone, and hold longer after a relapse."""

from typing import Any

import pytest

from actuator.platforms.errors import UnavailableError

GIB = 2**30


@pytest.fixture
def throttled(world: Any, make_alert: Any) -> Any:
    world.post(make_alert(intent="relieve"))
    world.work()
    assert world.kernel.limits["web", "cpu"] == pytest.approx(0.45)
    return world


def spend(world: Any, seconds: Any, step: Any = 15.0, watchdog: Any = True) -> None:
    for number in range(int(seconds / step)):
        world.clock.pass_by(step)
        if watchdog and number % 8 == 0:
            world.watchdog()
        world.work()


def test_a_throttle_is_shown_as_long_as_it_holds(throttled: Any, make_alert: Any) -> None:
    line = 'cpp_throttle_active{container="web",container_id="id-of-web",namespace="",node="n1",pod="",resource="cpu"}'
    assert line in throttled.metrics()
    throttled.post(make_alert(intent="relieve", status="resolved"))
    spend(throttled, 700)
    assert line not in throttled.metrics()


def test_a_throttle_ends_on_time_without_prometheus_and_while_paused(throttled: Any) -> None:
    throttled.truth.say(problem="gone", sample_age=float("inf"), firing=False)
    throttled.service.app.test_client().post("/pause", headers={"Authorization": "Bearer secret"})
    spend(throttled, 585, watchdog=False)
    assert throttled.kernel.limits["web", "cpu"] == pytest.approx(0.45)
    spend(throttled, 30, watchdog=False)
    assert throttled.kernel.limits["web", "cpu"] == 1.0


def test_a_throttle_set_before_a_change_to_dry_run_still_ends(throttled: Any, make_world: Any) -> None:
    again = make_world(dry_run=True)
    spend(again, 615)
    assert again.kernel.limits["web", "cpu"] == 1.0


def test_a_throttle_whose_platform_is_away_ends_when_it_is_back_without_a_plan_each_second(throttled: Any) -> None:
    throttled.kernel.reachable = False
    spend(throttled, 900, step=5)
    throttled.kernel.reachable = True
    spend(throttled, 700, step=5)
    assert throttled.kernel.limits["web", "cpu"] == 1.0
    assert len(throttled.steps()) <= 3


def test_a_throttle_is_loosened_in_steps_once_its_cause_has_been_gone_for_five_minutes(
    make_world: Any, make_alert: Any
) -> None:
    world = make_world(limits={"start_up_grace": "1s", "throttle_ttl": "1h", "throttle_ttl_max": "2h"})
    world.kernel.add("web", 4.0, GIB)
    world.watchdog()
    world.post(make_alert(intent="relieve"))
    world.work()
    world.truth.say(firing=False)
    world.post(make_alert(intent="relieve", status="resolved"))
    spend(world, 300)
    assert world.kernel.limits["web", "cpu"] == pytest.approx(0.45)
    spend(world, 30)
    assert world.kernel.limits["web", "cpu"] == pytest.approx(0.9)
    spend(world, 330)
    assert world.kernel.limits["web", "cpu"] == pytest.approx(1.8)
    spend(world, 330)
    assert world.kernel.limits["web", "cpu"] == pytest.approx(4.0)
    assert "cpp_throttle_active{" not in world.metrics()


def test_a_throttle_is_not_loosened_while_nothing_fresh_is_known(throttled: Any) -> None:
    throttled.truth.say(firing=False, sample_age=99.0)
    spend(throttled, 450)
    assert throttled.kernel.limits["web", "cpu"] == pytest.approx(0.45)


def test_a_cause_that_comes_back_starts_the_five_minutes_anew(throttled: Any) -> None:
    throttled.truth.say(firing=False)
    spend(throttled, 240)
    throttled.truth.say(firing=True)
    spend(throttled, 15)
    throttled.truth.say(firing=False)
    spend(throttled, 240)
    assert throttled.kernel.limits["web", "cpu"] == pytest.approx(0.45)


def test_each_relapse_doubles_the_calm_that_loosening_needs(throttled: Any, make_alert: Any) -> None:
    throttled.truth.say(firing=False)
    throttled.post(make_alert(intent="relieve", status="resolved"))
    spend(throttled, 330)
    assert throttled.kernel.limits["web", "cpu"] == 1.0
    throttled.truth.say(firing=True)
    throttled.post(make_alert(intent="relieve", startsAt="2026-01-01T03:00:00Z"))
    throttled.work()
    (record,) = throttled.service.ledger.throttles()
    assert record.throttle.relapses == 1
    assert record.throttle.expires_at - throttled.clock.now == 2 * throttled.config.limits.throttle_ttl
    throttled.truth.say(firing=False)
    spend(throttled, 450)
    assert throttled.kernel.limits["web", "cpu"] == pytest.approx(0.45)
    spend(throttled, 165)
    assert throttled.kernel.limits["web", "cpu"] == 1.0


def test_a_limit_changed_by_its_owner_ends_the_throttle_and_is_left_alone(throttled: Any, make_alert: Any) -> None:
    throttled.post(make_alert(intent="relieve", status="resolved"))
    throttled.kernel.limits["web", "cpu"] = 2.0
    spend(throttled, 700)
    assert throttled.kernel.limits["web", "cpu"] == 2.0
    assert throttled.service.ledger.throttles() == []


def test_the_throttle_of_a_stopped_container_waits_for_it(throttled: Any) -> None:
    throttled.kernel.running = False
    spend(throttled, 700)
    assert len(throttled.service.ledger.throttles()) == 1
    throttled.kernel.running = True
    spend(throttled, 615)
    assert throttled.kernel.limits["web", "cpu"] == 1.0


def test_a_container_that_is_gone_leaves_nothing(throttled: Any, make_alert: Any) -> None:
    throttled.kernel.limits.clear()
    spend(throttled, 75)
    assert throttled.service.ledger.throttles() == []
    assert throttled.service.ledger.held() == []


def test_a_reservation_runs_out_by_itself(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.work()
    world.clock.pass_by(30 + 1801)
    world.work()
    assert "cpp_reservation_cpu_cores{" not in world.metrics()
    assert world.steps()[-1]["kind"] == "release"


def test_what_is_old_and_closed_is_forgotten(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent="dance"), make_alert())
    world.work()
    world.clock.pass_by(91 * 86400)
    world.work()
    assert [action["state"] for action in world.actions()] == ["expired"]
    world.clock.pass_by(91 * 86400)
    world.work()
    assert world.actions() == []


@pytest.fixture
def blind(world: Any, monkeypatch: Any) -> Any:
    """Lose the answer to each change, and the look after it; the change is carried out where ``carried`` says so."""

    def arrange(carried: bool) -> Any:
        change, look, changed = world.kernel.set_limit, world.kernel.kernel_value, []

        def set_limit(target: Any, resource: Any, value: Any) -> None:
            changed.append(value)
            if carried:
                change(target, resource, value)
            raise UnavailableError("timed out")

        def kernel_value(target: Any, resource: Any) -> Any:
            if changed:
                raise UnavailableError("the process has ended")
            return look(target, resource)

        monkeypatch.setattr(world.kernel, "set_limit", set_limit)
        monkeypatch.setattr(world.kernel, "kernel_value", kernel_value)

        def mend() -> None:
            monkeypatch.setattr(world.kernel, "set_limit", change)
            monkeypatch.setattr(world.kernel, "kernel_value", look)

        return mend

    return arrange


def test_a_throttle_that_was_carried_out_and_not_seen_to_be_still_ends(world: Any, make_alert: Any, blind: Any) -> None:
    mend = blind(carried=True)
    world.post(make_alert(intent="relieve"))
    world.work()
    mend()
    assert world.action()["outcome"] == "failed"
    assert world.kernel.limits["web", "cpu"] == pytest.approx(0.45)
    world.post(make_alert(intent="relieve", status="resolved"))
    spend(world, 615)
    assert world.kernel.limits["web", "cpu"] == 1.0
    assert world.service.ledger.throttles() == []


def test_a_throttle_that_was_neither_carried_out_nor_seen_leaves_the_limit_alone(
    world: Any, make_alert: Any, blind: Any
) -> None:
    mend = blind(carried=False)
    world.post(make_alert(intent="relieve"))
    world.work()
    mend()
    world.post(make_alert(intent="relieve", status="resolved"))
    spend(world, 615)
    assert world.kernel.calls == []
    assert world.service.ledger.throttles() == []


@pytest.mark.parametrize("carried", [True, False])
def test_a_throttle_whose_loosening_was_lost_from_sight_still_ends(
    world: Any, make_alert: Any, blind: Any, carried: bool
) -> None:
    world.kernel.limits["web", "cpu"] = 4.0
    world.post(make_alert(intent="relieve"))
    world.work()
    world.truth.say(firing=False)
    world.post(make_alert(intent="relieve", status="resolved"))
    mend = blind(carried)
    spend(world, 330)
    mend()
    assert world.kernel.limits["web", "cpu"] == pytest.approx(0.9 if carried else 0.45)
    spend(world, 315)
    assert world.kernel.limits["web", "cpu"] == 4.0


def test_a_throttle_that_fails_unforeseen_does_not_keep_another_from_ending(
    throttled: Any, make_alert: Any, monkeypatch: Any
) -> None:
    throttled.kernel.add("db", 1.0, GIB)
    throttled.post(make_alert(intent="relieve", container="db"))
    throttled.work()
    assert throttled.kernel.limits["db", "cpu"] == pytest.approx(0.45)
    throttled.post(*(make_alert(intent="relieve", container=name, status="resolved") for name in ("web", "db")))
    look = throttled.kernel.inspect

    def fail(target: Any) -> Any:
        if target.container == "web":
            raise RuntimeError("nobody foresaw this")
        return look(target)

    monkeypatch.setattr(throttled.kernel, "inspect", fail)
    spend(throttled, 615)
    assert throttled.kernel.limits["db", "cpu"] == 1.0
    assert throttled.kernel.limits["web", "cpu"] == pytest.approx(0.45)
    assert "cpp_worker_errors_total 0.0" not in throttled.metrics()


def test_a_throttle_whose_container_was_stopped_for_long_ends_soon_after_it_runs(
    throttled: Any, make_alert: Any
) -> None:
    throttled.post(make_alert(intent="relieve", status="resolved"))
    throttled.kernel.running = False
    spend(throttled, 7200)
    throttled.kernel.running = True
    spend(throttled, 30)
    assert throttled.kernel.limits["web", "cpu"] == 1.0


def test_a_throttle_that_came_out_wrong_and_could_not_be_reverted_still_ends(
    world: Any, make_alert: Any, monkeypatch: Any
) -> None:
    with monkeypatch.context() as wrong:
        real = world.kernel.set_limit
        wrong.setattr(world.kernel, "set_limit", lambda target, resource, value: real(target, resource, 0.7))
        world.post(make_alert(intent="relieve"))
        world.work()
    assert (world.action()["outcome"], world.kernel.limits["web", "cpu"]) == ("failed", 0.7)
    world.post(make_alert(intent="relieve", status="resolved"))
    spend(world, 615)
    assert world.kernel.limits["web", "cpu"] == 1.0
