"""Activate: give what is reserved once the demand shows or is about to; or give a leak its one raise."""

from actuator.decide.ceiling import raised
from actuator.decide.situation import LEAK_ALERT, Situation, refuse, refuse_for_good
from actuator.model.decisions import Plan, Refusal, Step


def plan(s: Situation) -> Plan | Refusal:
    """Raise the limit by what is held and drop the reservation, in this order, so that nobody else gets it between."""
    if s.limit is None:
        return refuse_for_good("unset_limit", f"the container has no {s.order.resource} limit to raise")
    if s.memory.leak_raises and s.order.resource == "memory":
        return refuse_for_good("leaking", "the container leaks and had its one raise")
    if (refusal := _second_raise(s, s.limit)) is not None:
        return refusal
    return _give_leak(s, s.limit) if s.order.alert == LEAK_ALERT else _give_reserved(s, s.limit)


def _second_raise(s: Situation, limit: float) -> Refusal | None:
    """Caches and heaps grow to any limit: over the owner's, more is given only to who is visibly held back."""
    owner = s.owner_limit or limit
    if s.memory.raises == 0 or limit <= owner * (1 + s.limits.min_change):
        return None
    if s.throttled or (s.order.resource == "memory" and s.observation.oom_kills_last_day > 0):
        return None
    given = f"the limit of {s.say(limit)} is over the owner's {s.say(owner)} already"
    return refuse("no_evidence", f"{given}, and neither throttling nor an OOM kill shows that it is too little")


def _give_leak(s: Situation, limit: float) -> Plan | Refusal:
    if s.order.resource != "memory":
        return refuse_for_good("unsupported", f"a leak of {s.order.resource} gets no raise")
    after = raised(s, limit * s.limits.leak_multiple)
    if isinstance(after, Refusal):
        return after
    step = Step("set_limit", "memory", limit, after, leak=True)
    return Plan((step,), f"the one raise of a leak: {s.say(limit)} to {s.say(after)}, to gain time for its owner")


def _give_reserved(s: Situation, limit: float) -> Plan | Refusal:
    held = s.memory.reservation
    if held is None:
        return refuse("no_reservation", f"no {s.order.resource} is reserved for the container")
    wait = held.due_at - s.now
    if not s.demand_shows and wait > s.limits.lead_time:
        return refuse("not_due", f"usage is {s.say(s.usage)} of {s.say(limit)} and the demand is due in {wait:.0f} s")
    after = raised(s, limit + held.amount)
    if isinstance(after, Refusal):
        return after
    steps = (
        Step("set_limit", s.order.resource, limit, after),
        Step("release", s.order.resource, held.amount, None),
    )
    why = "the demand shows" if s.demand_shows else f"the demand is due in {wait:.0f} s"
    return Plan(steps, f"{why}: {s.say(limit)} to {s.say(after)}")
