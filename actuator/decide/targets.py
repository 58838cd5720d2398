"""Where a pod may go: room by forecast and by requests, the security tier, and what the pod itself asks of a node."""

from collections.abc import Iterable

from actuator.decide.costs import Bounds, load_with
from actuator.placement import ISOLATED, Mover, Place


def obstacle(mover: Mover, source: Place, place: Place, tier: str, bounds: Bounds) -> str:
    """Return why the pod cannot or should not move to ``place``, of a node of ``tier``; empty where it can."""
    if place.node == source.node:
        return "it is there already"
    if place.tier != tier:
        return f"its security tier is {place.tier or 'none'}, not {tier or 'none'}"
    return mover.barriers.get(place.node, "") or _no_room(mover, place, bounds)


def wanted_tier(source: Place, quarantine: bool) -> str:
    """Return the tier to look in: a risky pod's is the isolated one, any other pod stays in its own."""
    return ISOLATED if quarantine else source.tier


def nearest(mover: Mover, places: Iterable[Place]) -> Place | None:
    """Return the place with the most room by forecast, whatever is in its way; None where none is known."""
    known = [place for place in places if all(room.forecast is not None for room in place.rooms.values())]
    return min(known, key=lambda place: (load_with(mover, place), place.node), default=None)


def _no_room(mover: Mover, place: Place, bounds: Bounds) -> str:
    for resource, room in place.rooms.items():
        request = mover.requests.get(resource, 0.0)
        if request > room.unrequested:
            return f"{_say(resource, request)} requested, {_say(resource, max(room.unrequested, 0.0))} not yet promised"
        if room.forecast is None:
            return f"its {resource} is not forecast"
        after = room.forecast + room.held + mover.forecast.get(resource, 0.0)
        if after > bounds.room * room.capacity:
            usable = _say(resource, bounds.room * room.capacity)
            return f"{_say(resource, after)} forecast with the pod on it, {usable} usable"
    return ""


def _say(resource: str, amount: float) -> str:
    return f"{amount:.3g} cores" if resource == "cpu" else f"{amount / 2**20:.4g} MiB of memory"
