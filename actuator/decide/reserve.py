"""Reserve: hold the capacity that the forecast says will be needed, without giving it yet."""

from actuator.decide.ceiling import raised
from actuator.decide.situation import Situation, refuse, refuse_for_good
from actuator.model.decisions import Plan, Refusal, Step


def plan(s: Situation) -> Plan | Refusal:
    """Hold forecast times margin less the limit, within the ceiling."""
    limit, forecast = s.limit, s.observation.forecast
    if limit is None:
        return refuse_for_good("unset_limit", f"the container has no {s.order.resource} limit to exceed")
    if s.memory.leak_raises and s.order.resource == "memory":
        return refuse_for_good("leaking", "the container leaks and had its one raise")
    if s.memory.reservation is not None:
        return refuse("already_reserved", f"{s.say(s.memory.reservation.amount)} are held already")
    if forecast is None:
        return refuse("no_forecast", f"no trusted forecast of {s.order.resource}")
    if forecast <= limit * s.limits.reserve_threshold:
        bound = s.say(limit * s.limits.reserve_threshold)
        return refuse("below_threshold", f"forecast {s.say(forecast)} is not over the threshold of {bound}")
    target = raised(s, forecast * s.limits.reserve_margin)
    return target if isinstance(target, Refusal) else _hold(s, target - limit)


def _hold(s: Situation, amount: float) -> Plan:
    due = max(s.observation.forecast_due_at or s.now, s.now)
    step = Step("reserve", s.order.resource, None, amount, expires_at=due + s.limits.reservation_ttl, due_at=due)
    return Plan((step,), f"hold {s.say(amount)} for a demand due in {due - s.now:.0f} s")
