"""What the worker needs of the rooms beside it, as protocols, so that each can be tried with a stand-in."""

from typing import Protocol

from actuator.model.decisions import Step, StepOutcome
from actuator.model.knowledge import Observation
from actuator.model.orders import Order, Target


class Observer(Protocol):
    """Asks Prometheus; implemented by ``actuator.observe``."""

    def observe(self, order: Order, at: float) -> Observation:
        """Return what Prometheus says of the order's container at epoch seconds ``at``.

        A Prometheus that cannot be reached gives a ``problem``, ``sample_age`` infinite and ``firing`` False.
        """


class Executor(Protocol):
    """Carries out steps on a platform."""

    def apply(self, target: Target, step: Step) -> StepOutcome:
        """Check, do, verify, or put back what was before; raise UnsettledError where none of that can be told yet."""

    def resume(self, target: Target, step: Step) -> StepOutcome:
        """Finish a step found STARTED after a crash, without doing it twice."""
