"""Decisions that undo: a throttle that has run out, and ``restore`` of what the owner had set."""

from actuator.decide.limits import Limits
from actuator.decide.situation import refuse
from actuator.model.decisions import Plan, Refusal, Step
from actuator.model.knowledge import Allocation, OwnerLimits, Throttle
from actuator.tolerance import same_limit


def end_throttle(throttle: Throttle, allocation: Allocation) -> Plan | Refusal:
    """Return to the limit before the throttle, unless someone else has changed it meanwhile and so took it over."""
    now = allocation.cpu_limit
    if not same_limit("cpu", now, throttle.limit):
        set_to = "none" if now is None else f"{now:.3g} cores"
        return refuse("changed_by_other", f"the limit is {set_to}, not the throttle's {throttle.limit:.3g} cores")
    return Plan((Step("set_limit", "cpu", now, throttle.before),), "the throttle has run out")


def restore(owner: OwnerLimits, allocation: Allocation, limits: Limits) -> Plan | Refusal:
    """Return to what the owner had set; memory only as far down as the pages in use allow."""
    steps = []
    if not same_limit("cpu", allocation.cpu_limit, owner.cpu_limit):
        steps.append(Step("set_limit", "cpu", allocation.cpu_limit, owner.cpu_limit))
    if owner.memory_limit is not None and not same_limit("memory", allocation.memory_limit, owner.memory_limit):
        after = max(owner.memory_limit, allocation.memory_usage * limits.memory_floor)
        if not same_limit("memory", allocation.memory_limit, after):
            steps.append(Step("set_limit", "memory", allocation.memory_limit, after))
    if not steps and (why := held_up(owner, allocation.memory_limit)):
        return refuse("memory_in_use", why)
    if not steps:
        return refuse("nothing_to_restore", "the owner's limits are in force")
    return Plan(tuple(steps), "restore what the owner had set")


def held_up(owner: OwnerLimits, memory_limit: float | None) -> str:
    """Return why a memory limit is not the owner's after a restore; empty where it is."""
    if owner.memory_limit is None or memory_limit is None or same_limit("memory", memory_limit, owner.memory_limit):
        return ""
    wanted = f"what is in use forbids the owner's {owner.memory_limit:.0f}"
    return f"the memory limit stays at {memory_limit:.0f} bytes: {wanted}"
