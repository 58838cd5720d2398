"""What the worker needs of the rooms beside it, as protocols, so that each can be tried with a stand-in."""

from typing import Any, Protocol

from actuator.model import Allocation, KernelValue, Memory, Observation, Order, Plan, Refusal, Step, StepOutcome, Target


class Observer(Protocol):
    """Asks Prometheus; implemented by ``actuator.observe``."""

    def observe(self, order: Order, at: float) -> Observation:
        """Return what Prometheus says of the order's container at epoch seconds ``at``.

        A Prometheus that cannot be reached gives ``sample_age`` infinite and ``firing`` False.
        """


class Platform(Protocol):
    """The two looks at a platform that the worker takes; implemented by ``actuator.platforms``."""

    def inspect(self, target: Target) -> Allocation | None:
        """Return what the container has now; None where it is gone."""

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        """Return the limit in force, read from the kernel; raise OSError where it cannot be read."""


class Executor(Protocol):
    """Carries out ``set_limit`` steps; reservations are the ledger's own affair and never come here."""

    def apply(self, target: Target, step: Step) -> StepOutcome:
        """Check, set ``step.after``, verify in the kernel, or put ``step.before`` back."""


class Decide(Protocol):
    """The planner; ``actuator.decide.decide``."""

    def __call__(
        self, order: Order, observation: Observation, allocation: Allocation, memory: Memory, limits: Any
    ) -> Plan | Refusal:
        """Return the steps to take, or why none is taken; reads no clock and touches nothing."""
