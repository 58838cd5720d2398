from dataclasses import replace
from typing import Any

import pytest

from actuator.decide import Limits, end_throttle, restore
from actuator.model.decisions import Plan, Refusal, Step
from actuator.model.knowledge import Allocation, OwnerLimits, Throttle
from actuator.model.orders import Intent, Target

NOW = 1_000_000.0
MIB = 2.0**20
TARGET = Target("n1", "", "", "web", "c" * 64)
FOUND = Allocation(1.5, 200 * MIB, 50 * MIB, 8.0, 800 * MIB)


def unused(case: Any, resource: str = "cpu") -> Any:
    made = case(Intent.RECLAIM, resource)
    return made.seen(forecast_top=0.65 * made.unit, peak=0.6 * made.unit)


def test_reclaim_leaves_the_larger_of_peak_and_top_forecast_with_a_margin(case: Any) -> None:
    (step,) = unused(case).plan().steps
    assert step == Step("set_limit", "cpu", 1.0, pytest.approx(0.7475))
    (step,) = unused(case).seen(peak=0.7).plan().steps
    assert step.after == pytest.approx(0.805)


def test_reclaim_takes_no_more_than_a_bounded_share_at_a_time(case: Any) -> None:
    (step,) = unused(case).seen(peak=0.01, forecast_top=0.01).plan().steps
    assert step.after == pytest.approx(0.5)


def test_no_reclaim_leaves_less_memory_than_a_start_or_a_shell_needs(case: Any) -> None:
    small = unused(case, "memory").given(memory_limit=80 * MIB, memory_usage=1 * MIB)
    (step,) = small.seen(peak=1 * MIB, forecast_top=1 * MIB, usage=1 * MIB).plan().steps
    assert step.after == 64 * MIB
    assert small.given(memory_limit=64 * MIB).seen(peak=1 * MIB, forecast_top=1 * MIB).refusal() == "too_small"


def test_reclaim_never_raises_and_leaves_trifles_alone(case: Any) -> None:
    assert unused(case).seen(peak=0.86).refusal() == "too_small"
    assert unused(case).seen(peak=3.0).refusal() == "too_small"


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"oom_kills_last_day": 1.0}, "oom"),
        ({"throttled_ratio": 0.06}, "throttled"),
        ({"history_seconds": 1799.0}, "short_history"),
        ({"peak": None}, "no_forecast"),
        ({"forecast_top": None}, "no_forecast"),
        ({"usage": None}, "no_usage"),
    ],
)
def test_reclaim_is_barred_where_the_need_is_not_known(case: Any, seen: dict[str, Any], reason: str) -> None:
    assert unused(case).seen(**seen).refusal() == reason


def test_reclaim_leaves_a_container_with_a_reservation_alone(case: Any) -> None:
    assert unused(case).holding(0.3).refusal() == "reserved"


def test_reclaim_of_memory_stays_over_all_pages_in_use(case: Any) -> None:
    (step,) = unused(case, "memory").given(memory_usage=80 * MIB).plan().steps
    assert step.after == pytest.approx(92 * MIB)
    assert unused(case, "memory").given(memory_usage=90 * MIB).refusal() == "too_small"


def test_reclaim_may_go_below_what_the_owner_set(case: Any) -> None:
    assert unused(case).owned(1.0, None).plan().steps[0].after < 1.0


def test_relieve_takes_half_of_what_the_culprit_uses_for_a_while(case: Any) -> None:
    (step,) = case(Intent.RELIEVE).seen(usage=0.9).plan().steps
    assert step == Step("set_limit", "cpu", 1.0, pytest.approx(0.45), expires_at=NOW + 600)


def test_relieve_throttles_a_container_without_a_limit(case: Any) -> None:
    (step,) = case(Intent.RELIEVE).seen(usage=1.8).given(cpu_limit=None).plan().steps
    assert (step.before, step.after) == (None, pytest.approx(0.9))


def test_relieve_keeps_a_floor_to_live_on(case: Any) -> None:
    assert case(Intent.RELIEVE).seen(usage=0.08).plan().steps[0].after == 0.05
    assert case(Intent.RELIEVE).seen(usage=0.05).refusal() == "nothing_to_throttle"
    assert case(Intent.RELIEVE).seen(usage=None).refusal() == "no_usage"


def test_relieve_never_loosens(case: Any) -> None:
    assert case(Intent.RELIEVE).seen(usage=3.0).refusal() == "nothing_to_throttle"


@pytest.mark.parametrize("resource", ["memory", "disk_io", "network_io", ""])
def test_what_no_cpu_limit_slows_down_cannot_be_throttled(case: Any, resource: str) -> None:
    assert case(Intent.RELIEVE).order_is(resource=resource).refusal() == "unsupported"


@pytest.mark.parametrize("resource", ["threads", "memory_bandwidth"])
def test_trouble_that_takes_cpu_time_to_make_is_relieved_by_a_throttle_of_cpu(case: Any, resource: str) -> None:
    (step,) = case(Intent.RELIEVE).seen(usage=0.9).order_is(resource=resource).plan().steps
    assert step == Step("set_limit", "cpu", 1.0, pytest.approx(0.45), expires_at=NOW + 600)


def test_a_throttle_is_given_time_to_show_its_effect_before_it_is_tightened(case: Any) -> None:
    hasty = case(Intent.RELIEVE).bounded(cooldown=4.0)
    assert hasty.remembered(last_action_at=NOW - 299).plan()
    assert hasty.throttled_to(0.9).refusal() == "effect_pending"
    assert hasty.remembered(last_action_at=NOW - 300).plan()


def test_each_relapse_doubles_the_hold_up_to_a_bound(case: Any) -> None:
    holds = [
        case(Intent.RELIEVE).throttled_to(0.9, relapses).plan().steps[0].expires_at - NOW for relapses in (0, 1, 2, 9)
    ]
    assert holds == [600, 1200, 2400, 3600]


def test_a_throttle_ends_at_the_limit_before_it(case: Any) -> None:
    throttle = Throttle(TARGET, "cpu", None, 1.5, NOW)
    plan = end_throttle(throttle, FOUND)
    assert isinstance(plan, Plan)
    assert plan.steps == (Step("set_limit", "cpu", 1.5, None),)


@pytest.mark.parametrize("limit", [None, 1.0])
def test_a_throttle_that_someone_else_replaced_is_not_undone(limit: float | None) -> None:
    answer = end_throttle(Throttle(TARGET, "cpu", 2.0, 1.5, NOW), replace(FOUND, cpu_limit=limit))
    assert isinstance(answer, Refusal)
    assert answer.reason == "changed_by_other"


def test_restore_gives_back_what_the_owner_had_set() -> None:
    plan = restore(OwnerLimits(TARGET, 1.0, 100 * MIB), FOUND, Limits())
    assert isinstance(plan, Plan)
    assert plan.steps == (
        Step("set_limit", "cpu", 1.5, 1.0),
        Step("set_limit", "memory", 200 * MIB, 100 * MIB),
    )


def test_restore_of_memory_stops_over_the_pages_in_use() -> None:
    plan = restore(OwnerLimits(TARGET, 1.5, 40 * MIB), FOUND, Limits())
    assert isinstance(plan, Plan)
    assert plan.steps[0].after == pytest.approx(57.5 * MIB)


@pytest.mark.parametrize("owner", [OwnerLimits(TARGET, 1.5, 200 * MIB), OwnerLimits(TARGET, 1.5, None)])
def test_restore_leaves_alone_what_is_in_force_already(owner: OwnerLimits) -> None:
    answer = restore(owner, FOUND, Limits())
    assert isinstance(answer, Refusal)
    assert answer.reason == "nothing_to_restore"
