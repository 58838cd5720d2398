"""What forbids any action, whatever the intent. Each guard returns a Refusal or None; the first one counts."""

from collections.abc import Callable

from actuator.decide.situation import Situation, refuse, refuse_for_good
from actuator.model.decisions import Refusal
from actuator.model.orders import Intent

Guard = Callable[[Situation], Refusal | None]

_LEDGER_ONLY = frozenset({Intent.RESERVE, Intent.RELEASE})
_ABOUT_LIMITS = frozenset({Intent.RESERVE, Intent.ACTIVATE, Intent.RELEASE, Intent.RECLAIM})

_MOVES = frozenset({Intent.QUARANTINE, Intent.MIGRATE})
_OVER_THROTTLES = frozenset({Intent.QUARANTINE, Intent.RELIEVE})


def first_refusal(situation: Situation) -> Refusal | None:
    """Ask the guards in order: what the owner forbids, what is impossible, what is unknown, what is too soon."""
    for guard in _GUARDS:
        if (refusal := guard(situation)) is not None:
            return refusal
    return None


def _own_part(s: Situation) -> Refusal | None:
    if s.allocation.own_part:
        return refuse_for_good("own_part", "the container is part of this system or of its monitoring")
    return None


def _senseless(s: Situation) -> Refusal | None:
    said = s.allocation.bad_annotation
    return refuse_for_good("bad_annotation", f"left alone: {said}") if said else None


def _opted_out(s: Situation) -> Refusal | None:
    if s.allocation.opted_out:
        return refuse_for_good("opted_out", "the owner opted the container out")
    return None


def _managed(s: Situation) -> Refusal | None:
    touched = "cpu" if s.order.intent is Intent.RELIEVE else s.order.resource
    # An autoscaler has a say in limits, not in where a pod runs.
    manager = s.allocation.managed_by or (s.order.intent not in _MOVES and s.allocation.managed.get(touched))
    if manager:
        return refuse_for_good("managed", f"the limits belong to {manager}, which would undo the change or be misled")
    return None


def _resource(s: Situation) -> Refusal | None:
    if s.order.intent in _ABOUT_LIMITS and s.order.resource not in ("cpu", "memory"):
        return refuse_for_good("unsupported", f"there is no limit of {s.order.resource or 'no resource'!r} to change")
    return None


def _unset(s: Situation) -> Refusal | None:
    if s.order.intent in _ABOUT_LIMITS and s.limit is None and s.memory.reservation is None:
        return refuse_for_good("unset_limit", f"the container has no {s.order.resource} limit to change")
    return None


def _not_running(s: Situation) -> Refusal | None:
    return None if s.allocation.running else refuse("not_running", "the container does not run")


def _start_up(s: Situation) -> Refusal | None:
    age = s.now - s.allocation.started_at
    if age < s.limits.start_up_grace:
        return refuse("start_up", f"started {age:.0f} s ago, within the grace of {s.limits.start_up_grace:.0f} s")
    return None


def _unanswered(s: Situation) -> Refusal | None:
    problem = s.observation.problem
    return refuse("prometheus_unreachable", f"Prometheus gave no answer: {problem}") if problem else None


def _skewed(s: Situation) -> Refusal | None:
    skew = s.observation.clock_skew
    if abs(skew) > s.observation.fresh_within:
        return refuse("clock_skew", f"Prometheus' clock or the node's is {skew:.0f} s from ours; set both by NTP")
    return None


def _stale(s: Situation) -> Refusal | None:
    seen = s.observation
    if seen.sample_age > seen.fresh_within:
        return refuse("stale_data", f"newest sample is {seen.sample_age:.0f} s old, over {seen.fresh_within:.0f} s")
    return None


def _over(s: Situation) -> Refusal | None:
    if not s.observation.firing:
        return refuse("not_firing", f"the condition of {s.order.alert} does not hold any more")
    return None


def _stronger(s: Situation) -> Refusal | None:
    if s.memory.stronger_open is not None:
        return refuse("stronger_intent", f"an order to {s.memory.stronger_open} holds the container")
    if s.memory.throttle is not None and s.order.intent not in _OVER_THROTTLES:
        left = s.memory.throttle.expires_at - s.now
        return refuse("throttle_active", f"a throttle holds the container for another {left:.0f} s")
    return None


def _cooldown(s: Situation) -> Refusal | None:
    if s.order.intent in _LEDGER_ONLY or s.memory.last_action_at is None:
        return None
    since = s.now - s.memory.last_action_at
    if since < s.limits.cooldown:
        return refuse("cooldown", f"changed {since:.0f} s ago, within the cooldown of {s.limits.cooldown:.0f} s")
    return None


def _budget(s: Situation) -> Refusal | None:
    done, allowed = s.memory.actions_last_hour, s.limits.actions_per_hour
    if s.order.intent is not Intent.RELEASE and done >= allowed:
        return refuse("budget", f"{done} actions in the last hour; {allowed} are allowed")
    return None


_GUARDS: tuple[Guard, ...] = (
    _own_part, _senseless, _opted_out, _managed, _resource, _not_running, _unset, _start_up,
    _unanswered, _skewed, _stale, _over, _stronger, _cooldown, _budget,
)  # fmt: skip
