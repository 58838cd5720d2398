import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuator.decide import Limits, decide
from actuator.model.decisions import Plan, Refusal, Step
from actuator.model.knowledge import Allocation, Memory, Observation, OwnerLimits, Reservation, Throttle
from actuator.model.orders import Intent, Order, OrderState, Target

NOW = 1_000_000.0
HOST = 8.0
TARGET = Target("n1", "", "", "web", "c" * 64)
LIMITS = Limits()

# Amounts around the container's own size, so that all rules come into play, in cores; memory is counted in units too.
amounts = st.floats(0.0, 2.5, allow_nan=False)
maybe = st.none() | amounts
limits_set = st.none() | st.floats(0.05, 2.5)
shares = st.floats(0.0, 1.0)
moments = st.floats(NOW - 4000, NOW + 4000)

orders = st.builds(
    Order,
    id=st.just(1),
    target=st.just(TARGET),
    resource=st.sampled_from(["cpu", "memory", "disk_io", ""]),
    intent=st.sampled_from(list(Intent)),
    alert=st.sampled_from(["CppMemoryLeak", "CppOther"]),
    severity=st.just("info"),
    reason=st.just(""),
    state=st.just(OrderState.OPEN),
    opened_at=st.just(NOW),
    refreshed_at=st.just(NOW),
)
observations = st.builds(
    Observation,
    at=st.just(NOW),
    firing=st.just(True),
    sample_age=st.sampled_from([1.0, 1.0, 1.0, 100.0]),
    usage=maybe,
    forecast=maybe,
    forecast_top=maybe,
    forecast_due_at=st.none() | moments,
    peak=maybe,
    history_seconds=st.sampled_from([0.0, 7200.0]),
    throttled_ratio=st.just(0.0) | shares,
    oom_kills_last_day=st.sampled_from([0.0, 0.0, 2.0]),
    node_capacity=st.none() | st.floats(1.0, HOST),
    node_forecast=st.none() | st.floats(0.0, HOST),
)
allocations = st.builds(
    Allocation,
    cpu_limit=limits_set,
    memory_limit=limits_set,
    memory_usage=amounts,
    host_cpu=st.just(HOST),
    host_memory=st.just(HOST),
    started_at=st.sampled_from([0.0, 0.0, NOW]),
)
memories = st.builds(
    Memory,
    owner=st.none() | st.builds(OwnerLimits, st.just(TARGET), limits_set, limits_set),
    reservation=st.none() | st.builds(Reservation, st.just(TARGET), st.just("cpu"), amounts, moments, moments),
    throttle=st.none() | st.none() | st.builds(Throttle, st.just(TARGET), st.just("cpu"), limits_set, amounts, moments),
    raises=st.integers(0, 2),
    leak_raises=st.integers(0, 1),
    last_action_at=st.none() | st.none() | moments,
    actions_last_hour=st.integers(0, 21),
    reserved_on_host=amounts,
)

# The same with every guard content, so that most cases reach the rules behind them.
free_orders = st.builds(
    replace,
    orders,
    resource=st.sampled_from(["cpu", "memory"]),
    intent=st.sampled_from([Intent.RESERVE, Intent.ACTIVATE, Intent.RECLAIM, Intent.RELIEVE]),
)
free_observations = st.builds(
    replace,
    observations,
    sample_age=st.just(1.0),
    usage=amounts,
    forecast=amounts,
    forecast_top=st.floats(0.0, 1.0),
    peak=st.floats(0.0, 1.0),
    history_seconds=st.just(7200.0),
    throttled_ratio=st.sampled_from([0.0, 0.0, 0.3]),
    oom_kills_last_day=st.sampled_from([0.0, 0.0, 0.0, 2.0]),
    node_forecast=st.floats(0.0, HOST),
)
free_allocations = st.builds(
    replace,
    allocations,
    cpu_limit=st.floats(0.3, 2.5),
    memory_limit=st.floats(0.3, 2.5),
    memory_usage=st.floats(0.0, 1.0),
    started_at=st.just(0.0),
)
free_memories = st.builds(
    replace,
    memories,
    reservation=st.none()
    | st.builds(Reservation, st.just(TARGET), st.just("cpu"), amounts, st.just(NOW), st.just(NOW)),
    throttle=st.none(),
    last_action_at=st.none(),
    actions_last_hour=st.just(0),
    leak_raises=st.sampled_from([0, 0, 1]),
    raises=st.sampled_from([0, 0, 1]),
)
free = given(free_orders, free_observations, free_allocations, free_memories)
many = settings(max_examples=150, deadline=None)


def changes(answer: Plan | Refusal) -> list[Step]:
    return [step for step in answer.steps if step.kind == "set_limit"] if isinstance(answer, Plan) else []


def aims(answer: Plan | Refusal, order: Order, allocation: Allocation) -> list[float]:
    """The limits that a plan sets or holds capacity for, where these are over the one in force."""
    limit = allocation.cpu_limit if order.resource == "cpu" else allocation.memory_limit
    steps = answer.steps if isinstance(answer, Plan) else ()
    reserved = [(limit or 0.0) + (s.after or 0.0) for s in steps if s.kind == "reserve"]
    return reserved + [s.after for s in changes(answer) if s.after is not None and s.after > (s.before or HOST)]


@many
@given(orders, observations, allocations, memories)
def test_there_is_always_a_plan_with_steps_or_a_refusal_with_a_reason(
    order: Order, observation: Observation, allocation: Allocation, memory: Memory
) -> None:
    answer = decide(order, observation, allocation, memory, LIMITS)
    if isinstance(answer, Plan):
        assert answer.steps
        json.dumps(answer.inputs, allow_nan=False)
    else:
        assert answer.reason.replace("_", "").isalpha()
    assert answer == decide(order, observation, allocation, memory, LIMITS)


@many
@free
def test_no_aim_is_over_the_multiple_of_what_the_owner_set(
    order: Order, observation: Observation, allocation: Allocation, memory: Memory
) -> None:
    limit = allocation.cpu_limit if order.resource == "cpu" else allocation.memory_limit
    owner = memory.owner and (memory.owner.cpu_limit if order.resource == "cpu" else memory.owner.memory_limit)
    for aim in aims(decide(order, observation, allocation, memory, LIMITS), order, allocation):
        assert aim <= (owner or limit or 0.0) * LIMITS.raise_multiple * (1 + 1e-9)


@many
@free
def test_no_aim_is_over_what_the_host_has_left_beside_other_reservations(
    order: Order, observation: Observation, allocation: Allocation, memory: Memory
) -> None:
    for aim in aims(decide(order, observation, allocation, memory, LIMITS), order, allocation):
        usable = (observation.node_capacity or HOST) * (1 - LIMITS.host_headroom)
        assert aim + memory.reserved_on_host <= usable * (1 + 1e-9)


@many
@free
def test_memory_is_never_lowered_under_what_is_in_use(
    order: Order, observation: Observation, allocation: Allocation, memory: Memory
) -> None:
    for step in changes(decide(order, observation, allocation, memory, LIMITS)):
        if step.resource == "memory" and step.after < step.before:
            assert step.after >= allocation.memory_usage * LIMITS.memory_floor


@many
@free
def test_tightening_is_bounded_and_only_reclaim_and_relieve_tighten(
    order: Order, observation: Observation, allocation: Allocation, memory: Memory
) -> None:
    for step in changes(decide(order, observation, allocation, memory, LIMITS)):
        if step.after >= (HOST if step.before is None else step.before):
            assert order.intent is Intent.ACTIVATE
        elif order.intent is Intent.RELIEVE:
            least = max(observation.usage * (1 - LIMITS.throttle_step), LIMITS.throttle_floor)
            assert step.after == pytest.approx(least)
            assert NOW < step.expires_at <= NOW + LIMITS.throttle_ttl_max
        else:
            assert order.intent is Intent.RECLAIM
            assert step.after >= step.before * (1 - LIMITS.reclaim_step) * (1 - 1e-9)


@many
@free
def test_a_leaking_container_gets_no_second_raise_of_memory(
    order: Order, observation: Observation, allocation: Allocation, memory: Memory
) -> None:
    answer = decide(order, observation, allocation, memory, LIMITS)
    if memory.leak_raises and order.resource == "memory":
        assert aims(answer, order, allocation) == []


@many
@free
def test_planning_starts_from_the_limit_in_force(
    order: Order, observation: Observation, allocation: Allocation, memory: Memory
) -> None:
    for step in changes(decide(order, observation, allocation, memory, LIMITS)):
        assert step.before == (allocation.cpu_limit if step.resource == "cpu" else allocation.memory_limit)
