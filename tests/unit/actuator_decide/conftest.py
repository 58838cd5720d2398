from dataclasses import replace
from typing import Any

import pytest

from actuator.decide import Limits, decide
from actuator.model.decisions import Plan, Refusal
from actuator.model.knowledge import Allocation, Memory, Observation, OwnerLimits, Reservation, Throttle
from actuator.model.orders import Intent, Order, OrderState, Target

NOW = 1_000_000.0
MIB = 2.0**20
TARGET = Target("n1", "", "", "web", "c" * 64)


class Case:
    """A case in which every guard is content; a test changes what it is about."""

    def __init__(self, intent: Intent, resource: str = "cpu") -> None:
        unit = 1.0 if resource == "cpu" else 100 * MIB
        self.unit = unit
        self.order = Order(
            1, TARGET, resource, intent, f"Cpp{intent.title()}", "info", "", OrderState.OPEN, NOW - 60, NOW - 5
        )
        self.observation = Observation(
            at=NOW, firing=True, sample_age=5.0, usage=0.5 * unit, forecast=1.4 * unit, forecast_top=1.5 * unit,
            forecast_due_at=NOW + 300, peak=0.6 * unit, history_seconds=7200.0, node_capacity=8 * unit,
            node_forecast=2 * unit,
        )  # fmt: skip
        self.allocation = Allocation(
            cpu_limit=1.0, memory_limit=100 * MIB, memory_usage=50 * MIB, host_cpu=8.0, host_memory=800 * MIB,
            started_at=NOW - 3600,
        )  # fmt: skip
        self.memory = Memory()
        self.limits = Limits()

    def order_is(self, **changes: Any) -> "Case":
        self.order = replace(self.order, **changes)
        return self

    def seen(self, **changes: Any) -> "Case":
        self.observation = replace(self.observation, **changes)
        return self

    def given(self, **changes: Any) -> "Case":
        self.allocation = replace(self.allocation, **changes)
        return self

    def remembered(self, **changes: Any) -> "Case":
        self.memory = replace(self.memory, **changes)
        return self

    def bounded(self, **changes: Any) -> "Case":
        self.limits = Limits.model_validate(self.limits.model_dump() | changes)
        return self

    def holding(self, amount: float, due_in: float = 300.0) -> "Case":
        return self.remembered(
            reservation=Reservation(TARGET, self.order.resource, amount, NOW + due_in, NOW + due_in + 1800)
        )

    def throttled_to(self, limit: float, relapses: int = 0) -> "Case":
        return self.remembered(throttle=Throttle(TARGET, "cpu", 1.0, limit, NOW + 300, relapses))

    def owned(self, cpu: float | None, memory: float | None) -> "Case":
        return self.remembered(owner=OwnerLimits(TARGET, cpu, memory))

    def answer(self) -> Plan | Refusal:
        return decide(self.order, self.observation, self.allocation, self.memory, self.limits)

    def plan(self) -> Plan:
        answer = self.answer()
        assert isinstance(answer, Plan), answer
        return answer

    def refusal(self) -> str:
        answer = self.answer()
        assert isinstance(answer, Refusal), answer
        assert answer.detail
        return answer.reason


@pytest.fixture
def case() -> type[Case]:
    return Case
