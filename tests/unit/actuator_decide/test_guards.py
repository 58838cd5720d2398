from typing import Any

import pytest

from actuator.decide import decide
from actuator.model.decisions import Refusal
from actuator.model.orders import Intent

NOW = 1_000_000.0
PLANNED = [Intent.RESERVE, Intent.ACTIVATE, Intent.RELEASE, Intent.RECLAIM, Intent.RELIEVE]


def granted(case: Any, intent: Intent) -> Any:
    """A case of each intent that is granted, so that a refusal is the guard's alone."""
    made = case(intent)
    if intent is Intent.ACTIVATE:
        return made.holding(0.5, due_in=30)
    if intent is Intent.RELEASE:
        return made.holding(0.5, due_in=-30).seen(forecast=0.5)
    if intent is Intent.RECLAIM:
        return made.seen(forecast_top=0.5)
    return made


@pytest.mark.parametrize("intent", PLANNED)
def test_without_any_reason_against_it_every_intent_is_granted(case: Any, intent: Intent) -> None:
    plan = granted(case, intent).plan()
    assert plan.steps
    assert plan.reason
    assert plan.inputs["observation"]["usage"] == 0.5


@pytest.mark.parametrize("intent", PLANNED)
@pytest.mark.parametrize(
    ("change", "values", "reason", "retryable"),
    [
        ("given", {"own_part": True}, "own_part", False),
        ("given", {"opted_out": True}, "opted_out", False),
        ("given", {"managed_by": "swarm service web"}, "managed", False),
        ("given", {"running": False, "cpu_limit": None}, "not_running", True),
        ("given", {"started_at": NOW - 59}, "start_up", True),
        ("seen", {"problem": "connection refused", "firing": False}, "prometheus_unreachable", True),
        ("seen", {"sample_age": 30.1}, "stale_data", True),
        ("seen", {"sample_age": float("inf")}, "stale_data", True),
        ("seen", {"firing": False}, "not_firing", True),
        ("remembered", {"stronger_open": Intent.QUARANTINE}, "stronger_intent", True),
    ],
)
def test_guards_hold_for_every_intent(
    case: Any, intent: Intent, change: str, values: dict[str, Any], reason: str, retryable: bool
) -> None:
    answer = getattr(granted(case, intent), change)(**values).answer()
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.retryable) == (reason, retryable)


@pytest.mark.parametrize("intent", [Intent.MIGRATE, Intent.QUARANTINE, Intent.ENFORCE])
def test_intents_that_no_platform_carries_out_are_refused_for_good(case: Any, intent: Intent) -> None:
    assert case(intent).refusal() == "unsupported"


@pytest.mark.parametrize("intent", PLANNED)
def test_a_container_that_is_gone_is_refused_for_good(case: Any, intent: Intent) -> None:
    c = case(intent)
    answer = decide(c.order, c.observation, None, c.memory, c.limits)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.retryable) == ("gone", False)


@pytest.mark.parametrize("intent", [Intent.RESERVE, Intent.ACTIVATE, Intent.RELEASE, Intent.RECLAIM])
@pytest.mark.parametrize("resource", ["disk_io", "network_io", "threads", ""])
def test_resources_without_a_limit_are_unsupported(case: Any, intent: Intent, resource: str) -> None:
    assert case(intent).order_is(resource=resource).refusal() == "unsupported"


@pytest.mark.parametrize("intent", [Intent.RESERVE, Intent.ACTIVATE, Intent.RECLAIM])
@pytest.mark.parametrize(("resource", "limit"), [("cpu", "cpu_limit"), ("memory", "memory_limit")])
def test_where_no_limit_is_set_there_is_nothing_to_raise_or_lower(
    case: Any, intent: Intent, resource: str, limit: str
) -> None:
    assert case(intent, resource).given(**{limit: None}).refusal() == "unset_limit"
    assert case(intent, resource).given(**{limit: None}).holding(1.0, due_in=30).refusal() == "unset_limit"


@pytest.mark.parametrize("intent", [Intent.ACTIVATE, Intent.RECLAIM, Intent.RELIEVE])
def test_the_cooldown_bars_changes_of_limits_until_it_is_over(case: Any, intent: Intent) -> None:
    assert granted(case, intent).remembered(last_action_at=NOW - 299).refusal() == "cooldown"
    assert granted(case, intent).remembered(last_action_at=NOW - 300).plan()


@pytest.mark.parametrize("intent", [Intent.RESERVE, Intent.RELEASE])
def test_the_cooldown_does_not_bar_what_only_the_ledger_sees(case: Any, intent: Intent) -> None:
    assert granted(case, intent).remembered(last_action_at=NOW - 1).plan()


@pytest.mark.parametrize("intent", PLANNED)
def test_the_budget_bars_everything_but_giving_back(case: Any, intent: Intent) -> None:
    spent = granted(case, intent).remembered(actions_last_hour=20)
    if intent is Intent.RELEASE:
        assert spent.plan()
    else:
        assert spent.refusal() == "budget"
        assert granted(case, intent).remembered(actions_last_hour=19).plan()


@pytest.mark.parametrize("intent", [Intent.RESERVE, Intent.ACTIVATE, Intent.RELEASE, Intent.RECLAIM])
def test_a_throttle_holds_all_weaker_intents_off(case: Any, intent: Intent) -> None:
    assert granted(case, intent).throttled_to(0.2).refusal() == "throttle_active"


def test_samples_of_exactly_two_scrape_intervals_are_fresh_enough(case: Any) -> None:
    assert granted(case, Intent.RELIEVE).seen(sample_age=30.0).plan()
    assert granted(case, Intent.RELIEVE).seen(sample_age=3.0, fresh_within=2.0).refusal() == "stale_data"
