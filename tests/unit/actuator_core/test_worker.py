"""From an open order to a changed kernel, and every reason not to."""

import itertools
import math
import threading
from typing import Any

import pytest

from actuator.platforms.errors import PlatformError

GIB = 2**30


def outcome(world: Any) -> Any:
    world.work()
    return world.action()["outcome"]


def test_a_reservation_is_held_in_the_ledger_and_shown_as_a_metric(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    assert outcome(world) == "done"
    assert world.kernel.calls == []
    identity = 'container="web",container_id="id-of-web",namespace="",node="n1",pod=""'
    assert f"cpp_reservation_cpu_cores{{{identity}}}" in world.metrics()
    assert "cpp_reservation_due_timestamp_seconds{" in world.metrics()


def test_a_reservation_is_activated_before_the_demand_arrives_and_is_gone_then(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.work()
    world.post(make_alert(status="resolved"), make_alert(intent="activate"))
    world.work()
    assert world.kernel.limits["web", "cpu"] > 1.5
    assert [step["state"] for step in world.steps()] == ["done", "done", "done"]
    assert "cpp_reservation_cpu_cores{" not in world.metrics()


@pytest.mark.parametrize("event", ["pause", "resolve", "stale"])
def test_what_comes_between_a_raise_and_the_end_of_its_reservation_leaves_neither_half(
    world: Any, make_alert: Any, monkeypatch: Any, event: str
) -> None:
    world.post(make_alert())
    world.work()
    world.post(make_alert(status="resolved"), make_alert(intent="activate"))
    change = world.kernel.set_limit

    def change_then(target: Any, resource: Any, value: Any) -> None:
        change(target, resource, value)
        if event == "pause":
            world.service.app.test_client().post("/pause", headers={"Authorization": "Bearer secret"})
        elif event == "resolve":
            world.post(make_alert(intent="activate", status="resolved"))
        else:
            world.truth.say(sample_age=99.0)

    monkeypatch.setattr(world.kernel, "set_limit", change_then)
    world.work()
    assert [step["state"] for step in world.actions()[0]["decisions"][0]["steps"]] == ["done", "done"]
    assert world.service.ledger.reservations() == []
    assert world.actions()[0]["outcome"] == "done"


def test_a_raise_that_fails_keeps_its_reservation(world: Any, make_alert: Any, monkeypatch: Any) -> None:
    world.post(make_alert())
    world.work()
    world.post(make_alert(status="resolved"), make_alert(intent="activate"))
    monkeypatch.setattr(world.kernel, "set_limit", lambda target, resource, value: None)
    world.work()
    assert [step["state"] for step in world.actions()[0]["decisions"][0]["steps"]] == ["reverted", "cancelled"]
    assert len(world.service.ledger.reservations()) == 1


def test_the_kernels_values_before_and_after_are_kept(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    (step,) = world.steps()
    assert (step["kernel_file"], step["before_raw"]) == ("/cgroup/web/cpu", "1.0")
    assert float(step["after_raw"]) == world.kernel.limits["web", "cpu"] == step["after"]


def test_dry_run_plans_and_touches_nothing(make_world: Any, make_alert: Any) -> None:
    world = make_world(dry_run=True)
    world.kernel.add("web", 1.0, GIB)
    world.watchdog()
    world.post(make_alert(), make_alert(intent="relieve", container="web", labels={"severity": "warning"}))
    world.work()
    assert {step["state"] for step in world.steps()} == {"dry_run"}
    assert world.kernel.calls == []
    assert "cpp_reservation_cpu_cores{" not in world.metrics()
    assert "cpp_throttle_active{" not in world.metrics()


def test_dry_run_keeps_the_cooldown_so_that_it_does_not_plan_at_every_pass(make_world: Any, make_alert: Any) -> None:
    world = make_world(dry_run=True)
    world.kernel.add("web", 1.0, GIB)
    world.watchdog()
    world.post(make_alert())
    for _ in range(5):
        world.clock.pass_by(10)
        world.work()
    assert len(world.steps()) == 1


def test_without_a_watchdog_nothing_is_done(make_world: Any, make_alert: Any) -> None:
    world = make_world()
    world.kernel.add("web", 1.0, GIB)
    world.post(make_alert())
    assert outcome(world) == "refused: watchdog_silent"
    assert world.action()["state"] == "open"


def test_after_three_minutes_of_silence_nothing_is_done_until_the_watchdog_is_heard_again(
    world: Any, make_alert: Any
) -> None:
    world.clock.pass_by(181)
    world.post(make_alert())
    assert outcome(world) == "refused: watchdog_silent"
    world.watchdog()
    world.clock.pass_by(20)
    assert outcome(world) == "done"


def test_a_watchdog_of_another_cluster_is_not_ours(world: Any, make_alert: Any) -> None:
    world.clock.pass_by(181)
    world.post({"labels": {"alertname": "CppWatchdog", "cluster": "prod"}})
    world.post(make_alert())
    assert outcome(world) == "refused: watchdog_silent"


def test_the_watchdogs_last_word_survives_a_restart(world: Any, make_world: Any, make_alert: Any) -> None:
    world.clock.pass_by(170)
    again = make_world()
    again.post(make_alert())
    assert outcome(again) == "done"


def test_a_pause_by_hand_survives_a_restart_and_ends_by_hand(world: Any, make_world: Any, make_alert: Any) -> None:
    headers = {"Authorization": "Bearer secret"}
    assert world.service.app.test_client().post("/pause", headers=headers).status_code == 200
    again = make_world()
    again.post(make_alert())
    assert outcome(again) == "refused: paused"
    assert 'cpp_paused{reason="paused"} 1.0' in again.metrics()
    again.service.app.test_client().post("/resume", headers=headers)
    again.clock.pass_by(20)
    assert outcome(again) == "done"


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"problem": "connection refused", "sample_age": float("inf"), "firing": False}, "prometheus_unreachable"),
        ({"sample_age": 31.0}, "stale_data"),
        ({"firing": False}, "not_firing"),
    ],
)
def test_without_fresh_truth_nothing_is_done(world: Any, make_alert: Any, seen: Any, reason: Any) -> None:
    world.truth.say(**seen)
    world.post(make_alert(intent="relieve"))
    assert outcome(world) == f"refused: {reason}"
    assert world.kernel.calls == []


def test_the_condition_is_asked_again_before_the_step(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    assert world.truth.asked == 2


def test_a_platform_that_does_not_answer_is_a_refusal_for_now(world: Any, make_alert: Any) -> None:
    world.kernel.reachable = False
    world.post(make_alert())
    assert outcome(world) == "refused: platform_unavailable"
    world.kernel.reachable = True
    world.clock.pass_by(20)
    assert outcome(world) == "done"


def test_a_refusal_that_repeats_is_one_line_with_a_count(world: Any, make_alert: Any) -> None:
    world.truth.say(sample_age=99.0)
    world.post(make_alert())
    for _ in range(4):
        world.work()
        world.clock.pass_by(15)
    (decision,) = world.action()["decisions"]
    assert decision["times"] == 4


def test_a_second_action_waits_for_the_cooldown(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    world.post(make_alert(intent="quarantine"))
    for _ in range(14):
        world.clock.pass_by(20)
        world.watchdog()
        world.work()
    assert len(world.kernel.calls) == 1


def test_the_budget_of_an_hour_holds_over_all_containers_and_the_most_severe_comes_first(
    make_world: Any, make_alert: Any
) -> None:
    world = make_world(limits={"start_up_grace": "1s", "actions_per_hour": 1})
    world.kernel.add("web", 1.0, GIB)
    world.kernel.add("db", 1.0, GIB)
    world.watchdog()
    world.post(make_alert(intent="relieve"))
    world.post(make_alert(intent="relieve", container="db", labels={"severity": "critical"}))
    world.work()
    assert [container for container, _, _ in world.kernel.calls] == ["db"]
    assert sorted(action["outcome"] for action in world.actions()) == ["done", "refused: budget"]


def test_while_a_stronger_intent_holds_the_container_a_weaker_one_is_refused(world: Any, make_alert: Any) -> None:
    world.post(make_alert(), make_alert(intent="relieve"))
    world.work()
    reserve = next(action for action in world.actions() if action["intent"] == "reserve")
    assert reserve["outcome"] == "refused: stronger_intent"


def test_an_order_that_fails_unforeseen_is_retried_ever_later_and_stops_nobody(world: Any, make_alert: Any) -> None:
    world.truth.fails = RuntimeError("nobody foresaw this")
    world.post(make_alert())
    waits = []
    for _ in range(3):
        world.work()
        waits.append(world.action()["not_before"] - world.clock.now)
        world.clock.pass_by(waits[-1] + 1)
        world.watchdog()
    assert waits == [15, 30, 60]
    assert "cpp_worker_errors_total 3.0" in world.metrics()
    world.truth.fails = None
    assert outcome(world) == "done"


def test_an_order_that_has_failed_for_a_week_is_retried_every_ten_minutes(world: Any, make_alert: Any) -> None:
    world.truth.fails = RuntimeError("nobody foresaw this")
    world.post(make_alert())
    world.service.ledger.hold_order(world.action()["id"], world.clock.now, 1100)
    world.work()
    assert world.action()["not_before"] - world.clock.now == 600


def test_a_change_that_the_kernel_does_not_show_is_reverted_and_recorded(
    world: Any, make_alert: Any, monkeypatch: Any
) -> None:

    def refuse(target: Any, resource: Any, value: Any) -> None:
        raise PlatformError("no")

    monkeypatch.setattr(world.kernel, "set_limit", refuse)
    world.post(make_alert(intent="relieve"))
    assert outcome(world) == "reverted"
    assert world.kernel.limits["web", "cpu"] == 1.0
    assert "cpp_throttle_active{" not in world.metrics()


def test_a_limit_that_the_owner_changed_becomes_the_owners_limit(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    world.kernel.limits["web", "cpu"] = 3.0
    world.clock.pass_by(400)
    world.watchdog()
    world.post(make_alert(intent="relieve"))
    world.truth.say(usage=2.9)
    world.work()
    (held,) = world.service.ledger.held()
    assert held.owner_limit == 3.0


def test_a_duty_that_fails_unforeseen_does_not_keep_orders_waiting(
    world: Any, make_alert: Any, monkeypatch: Any
) -> None:
    def fail(throttle: Any, since: Any) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(world.service.ledger, "expire_orders", fail)
    world.post(make_alert())
    assert outcome(world) == "done"
    assert "cpp_worker_errors_total 2.0" in world.metrics()


def test_after_a_failed_change_the_next_look_is_not_taken_for_the_owners_wish(
    world: Any, make_alert: Any, monkeypatch: Any
) -> None:
    real = world.kernel.set_limit

    def half(target: Any, resource: Any, value: Any) -> None:
        real(target, resource, 0.7)

    monkeypatch.setattr(world.kernel, "set_limit", half)
    world.post(make_alert(intent="relieve"))
    assert outcome(world) == "failed"
    world.clock.pass_by(310)
    world.watchdog()
    world.work()
    (held,) = world.service.ledger.held()
    assert held.owner_limit == 1.0


@pytest.mark.parametrize(("found", "owner"), [(0.451, 1.0), (0.453, 0.453)])
def test_the_kernels_rounding_is_not_the_owners_wish_and_anything_more_is(
    world: Any, make_alert: Any, found: float, owner: float
) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    world.kernel.limits["web", "cpu"] = found
    world.clock.pass_by(400)
    world.watchdog()
    world.work()
    (held,) = world.service.ledger.held()
    assert held.owner_limit == owner


def test_several_containers_are_looked_at_side_by_side(world: Any, make_alert: Any, monkeypatch: Any) -> None:
    both, looks, observe = threading.Barrier(2, timeout=5), itertools.count(), world.truth.observe

    def meet(order: Any, at: float) -> Any:
        if next(looks) < 2:
            both.wait()
        return observe(order, at)

    world.kernel.add("db", 1.0, None)
    monkeypatch.setattr(world.truth, "observe", meet)
    world.post(make_alert(), make_alert(container="db"))
    world.work()
    assert [action["outcome"] for action in world.actions()] == ["done", "done"]


def test_an_order_that_waits_for_its_first_try_comes_before_a_stronger_one_that_was_refused(
    world: Any, make_alert: Any
) -> None:
    world.truth.say(sample_age=math.inf)
    world.post(make_alert(intent="relieve"))
    world.work()
    world.clock.pass_by(60)
    world.post(make_alert(container="db"), make_alert(container="db", intent="reclaim", labels={"severity": "warning"}))
    due = world.service.ledger.due_orders(world.clock())
    assert [str(order.intent) for order in due] == ["reclaim", "reserve", "relieve"]
