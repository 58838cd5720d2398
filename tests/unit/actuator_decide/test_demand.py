from typing import Any

import pytest

from actuator.model.decisions import Step
from actuator.model.orders import Intent

NOW = 1_000_000.0
MIB = 2.0**20


def test_reserve_holds_forecast_times_margin_less_the_limit(case: Any) -> None:
    (step,) = case(Intent.RESERVE).plan().steps
    assert step == Step("reserve", "cpu", None, pytest.approx(0.54), expires_at=NOW + 2100, due_at=NOW + 300)


def test_reserve_of_memory_is_in_bytes(case: Any) -> None:
    (step,) = case(Intent.RESERVE, "memory").plan().steps
    assert step.after == pytest.approx(54 * MIB)


@pytest.mark.parametrize(
    ("forecast", "reason"), [(None, "no_forecast"), (1.1, "below_threshold"), (0.2, "below_threshold")]
)
def test_reserve_wants_a_forecast_over_the_threshold(case: Any, forecast: float | None, reason: str) -> None:
    assert case(Intent.RESERVE).seen(forecast=forecast).refusal() == reason


def test_reserve_stops_at_the_multiple_of_the_owners_limit(case: Any) -> None:
    (step,) = case(Intent.RESERVE).seen(forecast=5.0).plan().steps
    assert step.after == pytest.approx(1.0)
    assert case(Intent.RESERVE).owned(0.5, None).refusal() == "raise_bound"


def test_reserve_stops_at_what_others_leave_on_the_host(case: Any) -> None:
    # 7.2 of 8 cores are usable; others need 6.9 - 1.0 of them, and 0.1 are held by other reservations.
    (step,) = case(Intent.RESERVE).seen(node_forecast=6.9).remembered(reserved_on_host=0.1).plan().steps
    assert step.after == pytest.approx(0.2)
    assert case(Intent.RESERVE).seen(node_forecast=7.9).refusal() == "no_headroom"
    assert case(Intent.RESERVE).remembered(reserved_on_host=6.0).refusal() == "no_headroom"


def test_without_a_forecast_of_the_node_nothing_is_reserved(case: Any) -> None:
    assert case(Intent.RESERVE).seen(node_forecast=None).refusal() == "node_unknown"


def test_a_reservation_is_not_made_twice(case: Any) -> None:
    assert case(Intent.RESERVE).holding(0.3).refusal() == "already_reserved"


def test_activate_raises_by_what_is_held_and_then_drops_the_reservation(case: Any) -> None:
    raise_, drop = case(Intent.ACTIVATE).holding(0.5, due_in=60).plan().steps
    assert raise_ == Step("set_limit", "cpu", 1.0, 1.5)
    assert drop == Step("release", "cpu", 0.5, None)


@pytest.mark.parametrize("seen", [{"usage": 0.8}, {"throttled_ratio": 0.06}])
def test_activate_comes_early_where_the_demand_shows(case: Any, seen: dict[str, float]) -> None:
    assert case(Intent.ACTIVATE).holding(0.5).seen(**seen).plan()


@pytest.mark.parametrize("seen", [{"usage": 0.79}, {"throttled_ratio": 0.05}])
def test_activate_waits_where_it_does_not(case: Any, seen: dict[str, float]) -> None:
    assert case(Intent.ACTIVATE).holding(0.5, due_in=61).seen(**seen).refusal() == "not_due"


def test_activate_without_a_reservation_is_refused(case: Any) -> None:
    assert case(Intent.ACTIVATE).seen(usage=1.0).refusal() == "no_reservation"


def test_activate_checks_the_bounds_again(case: Any) -> None:
    bounded = case(Intent.ACTIVATE).holding(3.0, due_in=0)
    assert bounded.plan().steps[0].after == 2.0
    assert bounded.seen(node_forecast=7.9).refusal() == "no_headroom"


def test_a_second_raise_over_the_owners_limit_needs_evidence(case: Any) -> None:
    def again(resource: str) -> Any:
        made = case(Intent.ACTIVATE, resource)
        return made.holding(0.2 * made.unit, due_in=0).remembered(raises=1).owned(0.7, 70 * MIB)

    assert again("cpu").refusal() == "no_evidence"
    assert again("cpu").seen(oom_kills_last_day=1).refusal() == "no_evidence"
    assert again("cpu").seen(throttled_ratio=0.2).plan()
    assert again("memory").refusal() == "no_evidence"
    assert again("memory").seen(throttled_ratio=0.2).refusal() == "no_evidence"
    assert again("memory").seen(oom_kills_last_day=1).plan()


def test_a_raise_back_to_the_owners_limit_needs_no_evidence(case: Any) -> None:
    assert case(Intent.ACTIVATE).holding(0.2, due_in=0).remembered(raises=3).owned(1.2, None).plan()


def test_a_leak_gets_one_bounded_raise_without_a_reservation(case: Any) -> None:
    leak = case(Intent.ACTIVATE, "memory").order_is(alert="CppMemoryLeak")
    (step,) = leak.plan().steps
    assert step == Step("set_limit", "memory", 100 * MIB, 125 * MIB, leak=True)


@pytest.mark.parametrize("intent", [Intent.ACTIVATE, Intent.RESERVE])
@pytest.mark.parametrize("alert", ["CppMemoryLeak", "CppActivateMemory"])
def test_after_its_raise_a_leak_gets_nothing_more(case: Any, intent: Intent, alert: str) -> None:
    after = case(intent, "memory").order_is(alert=alert).holding(20 * MIB, due_in=0)
    assert after.remembered(leak_raises=1).seen(oom_kills_last_day=1).refusal() == "leaking"


def test_a_leak_of_memory_bars_no_cpu(case: Any) -> None:
    assert case(Intent.RESERVE, "cpu").remembered(leak_raises=1).plan()


def test_a_leak_that_reached_the_bound_gets_nothing(case: Any) -> None:
    leak = case(Intent.ACTIVATE, "memory").order_is(alert="CppMemoryLeak")
    assert leak.owned(None, 50 * MIB).refusal() == "raise_bound"


def test_release_drops_what_was_due_and_did_not_come(case: Any) -> None:
    (step,) = case(Intent.RELEASE).holding(0.5, due_in=-1).seen(forecast=0.6).plan().steps
    assert step == Step("release", "cpu", 0.5, None)


def test_release_gives_up_what_was_due_and_did_not_come_though_more_is_forecast(case: Any) -> None:
    assert case(Intent.RELEASE).holding(0.5, due_in=-1).seen(forecast=1.4).plan()
    (step,) = case(Intent.RESERVE).seen(forecast=1.4).plan().steps
    assert step.due_at == NOW + 300


def test_release_waits_for_the_time_and_gives_way_to_the_demand(case: Any) -> None:
    assert case(Intent.RELEASE).refusal() == "no_reservation"
    assert case(Intent.RELEASE).holding(0.5, due_in=1).refusal() == "not_due"
    assert case(Intent.RELEASE).holding(0.5, due_in=-1).seen(usage=0.9).refusal() == "demand_shows"


def test_release_goes_on_where_the_owner_took_the_limit_away(case: Any) -> None:
    assert case(Intent.RELEASE).holding(0.5, due_in=-1).given(cpu_limit=None).plan()
