"""How high a limit may go: the owner's bound and the host's room."""

from dataclasses import dataclass

from actuator.decide.situation import Situation, refuse
from actuator.model.decisions import Refusal


@dataclass(frozen=True)
class Ceiling:
    """The highest limit that may be set or held capacity for."""

    limit: float
    reason: str
    """Refusal code where this ceiling is in the way."""
    detail: str


def ceiling(s: Situation) -> Ceiling | Refusal:
    """Return the lower of both bounds; refuse where the node's forecast is unknown."""
    room = _host_room(s)
    if isinstance(room, Refusal):
        return room
    owner = _owner_bound(s)
    return owner if owner.limit <= room.limit else room


def raised(s: Situation, wanted: float) -> float | Refusal:
    """Return ``wanted`` or the ceiling if lower; refuse where that is no worthwhile raise of the limit in force."""
    limit, bound = s.limit or 0.0, ceiling(s)
    if isinstance(bound, Refusal):
        return bound
    granted = min(wanted, bound.limit)
    if granted >= limit * (1 + s.limits.min_change):
        return granted
    if wanted <= bound.limit:
        return refuse("too_small", f"{s.say(wanted)} wanted is no more than the limit of {s.say(limit)}")
    return refuse(bound.reason, f"{s.say(wanted)} wanted, limit {s.say(limit)}, but {bound.detail}")


def _owner_bound(s: Situation) -> Ceiling:
    given = s.owner_limit or 0.0
    bound = given * s.limits.raise_multiple
    return Ceiling(bound, "raise_bound", f"{s.limits.raise_multiple:g} times the owner's {s.say(given)} is the bound")


def _host_room(s: Situation) -> Ceiling | Refusal:
    """What others leave. The node's forecast has this container in it, with no more than its limit lets through."""
    if s.observation.node_forecast is None:
        return refuse("node_unknown", f"no forecast of the node's {s.order.resource} to find room with")
    usable = _capacity(s) * (1 - s.limits.host_headroom)
    own = min(max(s.observation.forecast or 0.0, s.observation.usage or 0.0), s.limit or 0.0)
    others = max(s.observation.node_forecast - own, 0.0)
    room = max(usable - others - s.memory.reserved_on_host, 0.0)
    held = s.say(s.memory.reserved_on_host)
    return Ceiling(
        room, "no_headroom", f"of {s.say(usable)} on the host others need {s.say(others)} and hold {held} in reserve"
    )


def _capacity(s: Situation) -> float:
    host = s.allocation.host_cpu if s.order.resource == "cpu" else s.allocation.host_memory
    seen = s.observation.node_capacity
    return host if seen is None else min(seen, host)
