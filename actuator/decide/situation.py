"""All that a decision may look at, bundled, with the few quantities that several rules share."""

from dataclasses import dataclass

from actuator.decide.limits import Limits
from actuator.model.decisions import Refusal
from actuator.model.knowledge import Allocation, Memory, Observation
from actuator.model.orders import Order
from actuator.placement import Scene

LEAK_ALERT = "CppMemoryLeak"
"""The alert whose order is a leak's: one raise, never a second."""


@dataclass(frozen=True)
class Situation:
    """One order and what is known of its container; quantities are in the order's resource: cores or bytes."""

    order: Order
    observation: Observation
    allocation: Allocation
    memory: Memory
    limits: Limits
    scene: Scene | None = None
    """Nodes and pods, for an order to move; None where the platform moves nothing."""

    @property
    def now(self) -> float:
        """Epoch seconds of the observation; decisions have no clock."""
        return self.observation.at

    @property
    def limit(self) -> float | None:
        """The limit in force; None where unset."""
        return self.allocation.cpu_limit if self.order.resource == "cpu" else self.allocation.memory_limit

    @property
    def owner_limit(self) -> float | None:
        """What the owner had set; the limit in force where this system never changed it."""
        owner = self.memory.owner
        if owner is None:
            return self.limit
        return (owner.cpu_limit if self.order.resource == "cpu" else owner.memory_limit) or self.limit

    @property
    def usage(self) -> float:
        """What the container uses now; for memory all that is charged, as the kernel counts against the limit."""
        seen = self.observation.usage or 0.0
        return max(seen, self.allocation.memory_usage) if self.order.resource == "memory" else seen

    @property
    def throttled(self) -> bool:
        """Whether the kernel holds the container back by its CPU quota."""
        return self.order.resource == "cpu" and self.observation.throttled_ratio > self.limits.throttled

    @property
    def demand_shows(self) -> bool:
        """Whether usage presses on the limit."""
        pressed = self.limit is not None and self.usage >= self.limits.activate_pressure * self.limit
        return pressed or self.throttled

    def say(self, amount: float) -> str:
        """Write an amount of the order's resource with its unit."""
        return f"{amount:.3g} cores" if self.order.resource == "cpu" else f"{amount / 2**20:.4g} MiB"


def refuse(reason: str, detail: str) -> Refusal:
    """Refuse for now: the same order may be granted later."""
    return Refusal(reason, detail, retryable=True)


def refuse_for_good(reason: str, detail: str) -> Refusal:
    """Refuse an order that no passing of time will make right."""
    return Refusal(reason, detail, retryable=False)
