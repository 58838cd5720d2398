"""Release: drop a reservation whose demand was due and did not come."""

from actuator.decide.situation import Situation, refuse
from actuator.model.decisions import Plan, Refusal, Step


def plan(s: Situation) -> Plan | Refusal:
    """Drop the reservation, also where more is forecast still: a new one, with a new due time, follows from that.

    What was activated already is reclaim's to take back.
    """
    held = s.memory.reservation
    if held is None:
        return refuse("no_reservation", f"no {s.order.resource} is reserved for the container")
    if s.now < held.due_at:
        return refuse("not_due", f"the demand is due in {held.due_at - s.now:.0f} s")
    if s.demand_shows:
        return refuse("demand_shows", f"usage of {s.say(s.usage)} presses on the limit")
    step = Step("release", s.order.resource, held.amount, None)
    return Plan((step,), f"the demand was due {s.now - held.due_at:.0f} s ago and did not come")
