"""Relieve: throttle the container that holds up its neighbours, a bounded step at a time and for a while."""

from dataclasses import replace

from actuator.decide.situation import Situation, refuse, refuse_for_good
from actuator.model.decisions import Plan, Refusal, Step

DONE_BY_CPU = ("cpu", "threads", "memory_bandwidth")
"""Trouble that ends when the culprit runs less: it makes threads, or goes through memory, only while it runs."""


def plan(s: Situation) -> Plan | Refusal:
    """Lower the CPU limit to a bounded share of what the culprit uses now; the old limit returns by itself."""
    if s.order.resource not in DONE_BY_CPU:
        return refuse_for_good("unsupported", _unsupported(s.order.resource))
    s = replace(s, order=replace(s.order, resource="cpu"))
    if (refusal := _too_soon_to_tighten(s)) is not None:
        return refusal
    if s.observation.usage is None:
        return refuse("no_usage", "the container's CPU usage is not known")
    limit, usage = s.limit, s.observation.usage
    after = max(usage * (1 - s.limits.throttle_step), s.limits.throttle_floor)
    if after > (usage if limit is None else min(usage, limit)) * (1 - s.limits.min_change):
        return refuse(
            "nothing_to_throttle", f"it uses {s.say(usage)}, and {s.say(s.limits.throttle_floor)} is the least"
        )
    return _throttle(s, limit, after)


def _unsupported(resource: str) -> str:
    if resource == "memory":
        return "only what a CPU limit slows down can be throttled, not memory: less of it would kill"
    return f"only what a CPU limit slows down can be throttled, not {resource or 'no resource'}"


def _too_soon_to_tighten(s: Situation) -> Refusal | None:
    """A score looks back over a window, so a throttle needs a while until it can show in it."""
    since = s.now - (s.memory.last_action_at or 0.0)
    if s.memory.throttle is None or since >= s.limits.throttle_patience:
        return None
    return refuse("effect_pending", f"throttled {since:.0f} s ago; {s.limits.throttle_patience:.0f} s show its effect")


def _throttle(s: Situation, limit: float | None, after: float) -> Plan:
    relapses = s.memory.relapses if s.memory.throttle is None else s.memory.throttle.relapses
    hold = min(s.limits.throttle_ttl * 2**relapses, s.limits.throttle_ttl_max)
    step = Step("set_limit", "cpu", limit, after, expires_at=s.now + hold)
    old = "no limit" if limit is None else s.say(limit)
    return Plan((step,), f"throttle from {old} to {s.say(after)} for {hold:.0f} s")
