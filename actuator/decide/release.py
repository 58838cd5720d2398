"""Release: drop a reservation whose demand was due and did not come."""

from actuator.decide.situation import Situation, refuse
from actuator.model import Plan, Refusal, Step


def plan(s: Situation) -> Plan | Refusal:
    """Drop the reservation; what was activated already is reclaim's to take back."""
    held, forecast = s.memory.reservation, s.observation.forecast
    if held is None:
        return refuse("no_reservation", f"no {s.order.resource} is reserved for the container")
    if s.now < held.due_at:
        return refuse("not_due", f"the demand is due in {held.due_at - s.now:.0f} s")
    if s.demand_shows:
        return refuse("demand_shows", f"usage of {s.say(s.usage)} presses on the limit")
    if forecast is not None and s.limit is not None and forecast > s.limit * s.limits.reserve_threshold:
        return refuse("still_forecast", f"the forecast of {s.say(forecast)} is still over the limit {s.say(s.limit)}")
    step = Step("release", s.order.resource, held.amount, None)
    return Plan((step,), f"the demand was due {s.now - held.due_at:.0f} s ago and did not come")
