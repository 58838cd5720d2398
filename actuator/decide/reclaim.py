"""Reclaim: take back what was neither used nor is forecast to be. What counts as unused is the alert rule's to say.

The new limit may lie under what the owner set; ``restore`` gives that back.
"""

from actuator.decide.situation import Situation, refuse, refuse_for_good
from actuator.model.decisions import Plan, Refusal, Step


def plan(s: Situation) -> Plan | Refusal:
    """Lower the limit to the larger of peak and .99 forecast, times margin, by at most one bounded step."""
    limit = s.limit
    if limit is None:
        return refuse_for_good("unset_limit", f"the container has no {s.order.resource} limit to lower")
    if (refusal := _barred(s)) is not None:
        return refusal
    need = _need(s)
    return need if isinstance(need, Refusal) else _lower(s, limit, need)


def _barred(s: Situation) -> Refusal | None:
    seen, limits = s.observation, s.limits
    if seen.oom_kills_last_day > 0:
        return refuse("oom", f"{seen.oom_kills_last_day:.0f} OOM kills in the last day")
    if seen.throttled_ratio > limits.throttled:
        return refuse("throttled", f"throttled in {seen.throttled_ratio:.0%} of periods, so its need is unknown")
    if s.memory.reservation is not None:
        return refuse("reserved", f"{s.say(s.memory.reservation.amount)} more are held for a forecast demand")
    if seen.history_seconds < limits.reclaim_history:
        needed = f"{limits.reclaim_history:.0f} s"
        return refuse("short_history", f"watched for {seen.history_seconds:.0f} s of the {needed} that a reclaim needs")
    return None


def _need(s: Situation) -> float | Refusal:
    peak, top = s.observation.peak, s.observation.forecast_top
    if s.observation.usage is None:
        return refuse("no_usage", f"the container's {s.order.resource} usage is not known")
    if peak is None or top is None:
        return refuse("no_forecast", f"no peak or no forecast of {s.order.resource}")
    return max(peak, top)


def _lower(s: Situation, limit: float, need: float) -> Plan | Refusal:
    wanted = max(need * s.limits.reclaim_margin, limit * (1 - s.limits.reclaim_step), _floor(s))
    if wanted > limit * (1 - s.limits.min_change):
        return refuse("too_small", f"no more than {s.say(max(limit - wanted, 0.0))} could be taken from {s.say(limit)}")
    step = Step("set_limit", s.order.resource, limit, wanted)
    return Plan((step,), f"peak and forecast need {s.say(need)}: {s.say(limit)} to {s.say(wanted)}")


def _floor(s: Situation) -> float:
    """What no reclaim goes under: a share to live on, and for memory the pages in use, since less would kill."""
    if s.order.resource == "cpu":
        return s.limits.throttle_floor
    return max(s.usage * s.limits.memory_floor, s.limits.reclaim_least_memory)
