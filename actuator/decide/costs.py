"""What a move is worth: one function for all reasons to move, in seconds of one container's full service.

Benefit, over the horizon of ``move_horizon`` seconds H:

- *interference removed*: (what it suffers + its part in what others suffer) x (1 - the target's load after the move)
  x H: the fuller the target, the likelier the same trouble is met, or made, there;
- *risk contained*: its security risk x H where it goes to an isolated node;
- *headroom gained*: (overload of source and target before - after) x H. A node's overload is 0 up to the share of
  its capacity that ``Bounds.room`` lets be used by forecast, and 1 where all is used.

Cost:

- *downtime*: how long its like took to become Ready, by the share of the service that the pod is (1 / replicas);
- *warming up*: its working set at ``move_warm_up_rate``, by the same share;
- both x (1 + 1 / what its disruption budget has left), and x 2 for every move of the same workload within the last day.

A move is worth it where benefit > margin x cost. To act on a forecast takes more than to act on a breach, and a
quarantine takes less: three sets of ``Bounds`` for one function.
"""

from dataclasses import dataclass

from actuator.decide.limits import Limits
from actuator.placement import ISOLATED, Mover, Place

RESOURCES = ("cpu", "memory")


@dataclass(frozen=True)
class Bounds:
    """What a kind of move asks for."""

    margin: float
    """Benefit over cost from which to move."""
    room: float
    """Share of a target's capacity up to which forecasts may fill it."""


@dataclass(frozen=True)
class Worth:
    """Benefit and cost of one pod's move to one node, in seconds of service."""

    mover: Mover
    place: Place
    load: float
    """Forecast share of the target's fuller resource, the pod included."""
    interference: float
    risk: float
    headroom: float
    downtime: float
    warm_up: float

    @property
    def benefit(self) -> float:
        """All that is won."""
        return self.interference + self.risk + self.headroom

    @property
    def cost(self) -> float:
        """All that is paid."""
        return self.downtime + self.warm_up

    @property
    def rank(self) -> tuple[float, float]:
        """Larger is better; of equals the emptier target."""
        return self.benefit - self.cost, -self.load


def reactive(limits: Limits) -> Bounds:
    """Return the bounds after a breach: somebody suffers now."""
    return Bounds(limits.move_margin, limits.move_room)


def preemptive(limits: Limits) -> Bounds:
    """Return the bounds ahead of trouble that is only forecast."""
    return Bounds(limits.move_ahead_margin, limits.move_ahead_room)


def containing(limits: Limits) -> Bounds:
    """Return the bounds of a quarantine: a risk weighs as much as the service it is contained at the cost of."""
    return Bounds(1.0, limits.move_room)


def weigh(mover: Mover, source: Place, place: Place, bounds: Bounds, limits: Limits) -> Worth:
    """Return what the move is worth; both nodes' forecasts must be known."""
    load = load_with(mover, place)
    contained = mover.risk if place.tier == ISOLATED and source.tier != ISOLATED else 0.0
    gained = _overload(_load(source), bounds) - _overload(_load_without(mover, source), bounds)
    gained += _overload(_load(place), bounds) - _overload(load, bounds)
    trouble = min(mover.suffered + mover.caused, 1.0)
    start_up = limits.move_start_up if mover.start_up is None else mover.start_up
    price = _price(mover)
    return Worth(
        mover,
        place,
        load,
        interference=trouble * max(1.0 - load, 0.0) * limits.move_horizon,
        risk=contained * limits.move_horizon,
        headroom=gained * limits.move_horizon,
        downtime=start_up * price,
        warm_up=mover.warm_bytes / limits.move_warm_up_rate * price,
    )


def load_with(mover: Mover, place: Place) -> float:
    """Return the forecast share of the node's fuller resource with the pod on it and with what is held there."""
    return _share(place, mover, 1.0)


def _load(place: Place) -> float:
    return _share(place, None, 0.0)


def _load_without(mover: Mover, place: Place) -> float:
    return _share(place, mover, -1.0)


def _share(place: Place, mover: Mover | None, sign: float) -> float:
    shares = []
    for resource, room in place.rooms.items():
        own = mover.forecast.get(resource, 0.0) if mover else 0.0
        shares.append(max((room.forecast or 0.0) + room.held + sign * own, 0.0) / room.capacity)
    return max(shares)


def _overload(load: float, bounds: Bounds) -> float:
    return min(max(load - bounds.room, 0.0) / (1.0 - bounds.room), 1.0)


def _price(mover: Mover) -> float:
    scarcity = 1.0 if mover.disruptions_left is None else 1.0 + 1.0 / max(mover.disruptions_left, 1)
    return scarcity * 2.0**mover.moves_last_day / max(mover.replicas, 1)
