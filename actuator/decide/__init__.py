"""What is safe to do about an order: pure functions without clock, HTTP or platform."""

from actuator.decide.limits import Limits
from actuator.model import Allocation, Memory, Observation, Order, Plan, Refusal

__all__ = ["Limits", "decide"]


def decide(
    order: Order, observation: Observation, allocation: Allocation | None, memory: Memory, limits: Limits
) -> Plan | Refusal:
    """Return the steps to take or the reason to take none; ``allocation`` is None for a container that is gone."""
    raise NotImplementedError
