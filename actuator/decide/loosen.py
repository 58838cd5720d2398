"""Loosen a throttle a step at a time once its cause is gone, so that a relapse meets a limit that still holds some."""

from actuator.decide.undo import end_throttle
from actuator.model.decisions import Plan, Refusal, Step
from actuator.model.knowledge import Allocation, Throttle

_FACTOR = 2.0
_NEARLY = 0.9


def loosen(throttle: Throttle, allocation: Allocation) -> Plan | Refusal:
    """Double the throttle's limit; return to the limit before it where that is no more than a step away."""
    full = end_throttle(throttle, allocation)
    if isinstance(full, Refusal):
        return full
    after = throttle.limit * _FACTOR
    top = allocation.host_cpu if throttle.before is None else throttle.before
    if after >= top * _NEARLY:
        return Plan(full.steps, "the cause of the throttle is gone: back to the limit before it")
    step = Step("set_limit", throttle.resource, allocation.cpu_limit, after, expires_at=throttle.expires_at)
    return Plan((step,), f"the cause of the throttle is gone: {throttle.limit:.3g} to {after:.3g} cores")
