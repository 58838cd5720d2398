"""No fresh truth, no action: what an observation lacks to act upon."""

from collections.abc import Callable

from actuator.gate import Gate
from actuator.model.decisions import Refusal
from actuator.model.knowledge import Observation
from actuator.model.orders import Order
from actuator.seams import Observer


class Truth:
    """Asks again, right before a step, whether an order may still be carried out."""

    def __init__(self, observer: Observer, gate: Gate, clock: Callable[[], float]) -> None:
        self._observer, self._gate, self._clock = observer, gate, clock

    def refusal(self, order: Order) -> Refusal | None:
        """Return why not, or None."""
        return self._gate.refusal() or _missing_cause(self._observer.observe(order, self._clock()))

    def gone(self, order: Order) -> bool:
        """Tell whether fresh truth says that an order's cause is gone; while nothing may be done, nothing is known."""
        if self._gate.refusal() is not None:
            return False
        seen = self._observer.observe(order, self._clock())
        return missing_truth(seen) is None and not seen.firing


def missing_truth(observation: Observation) -> Refusal | None:
    """Return why nothing is known now, or None where the newest sample is fresh."""
    if observation.problem:
        return Refusal("prometheus_unreachable", observation.problem, retryable=True)
    if abs(observation.clock_skew) > observation.fresh_within:
        detail = f"Prometheus' clock or the node's is {observation.clock_skew:.0f} s from ours; set both by NTP"
        return Refusal("clock_skew", detail, retryable=True)
    if observation.sample_age > observation.fresh_within:
        detail = f"newest sample is {observation.sample_age:.0f} s old, over {observation.fresh_within:.0f} s"
        return Refusal("stale_data", detail, retryable=True)
    return None


def _missing_cause(observation: Observation) -> Refusal | None:
    if (refusal := missing_truth(observation)) is not None:
        return refusal
    if not observation.firing:
        return Refusal("not_firing", "the rule's condition does not hold any more", retryable=True)
    return None
