"""Cluster, Prometheus and ledger to Scene: all that a move is decided on."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from actuator.decide.migrate import ahead
from actuator.ledger.protocol import Ledger
from actuator.model.orders import Intent, Order, Target
from actuator.moving import Check, Nodes
from actuator.observe import PrometheusError
from actuator.outlook import Outlook, PodOutlook, Scout
from actuator.placement import Move, Mover, Place, Scene
from actuator.platforms.errors import PlatformError

_DAY = 86_400.0
_APART = "its tenant breaks a co-tenancy policy there already"
_HEAVY = 10
"""Where no culprit is looked for, so many of a node's heaviest pods may be moved."""


class Surveyor:
    """Looks at everything once for an order to move."""

    def __init__(self, nodes: Nodes, scout: Scout, steering: Check, ledger: Ledger) -> None:
        self._nodes, self._scout, self._steering, self._ledger = nodes, scout, steering, ledger

    def survey(self, order: Order, at: float) -> Scene:
        """Return the scene at epoch seconds ``at``; a ``problem`` where the cluster or Prometheus gave no answer."""
        try:
            outlook = self._scout.look(order, at)
            movers = self._nodes.movers([order.target, *_others(order, outlook)])
            places = self._nodes.places()
            unsteered = self._steering()
        except (PlatformError, PrometheusError) as error:
            return Scene((), (), problem=str(error))
        moves = tuple(self._ledger.moves(at - _DAY))
        throttled = self._ledger.throttled_since()
        return Scene(
            tuple(_forecast(place, outlook) for place in places),
            tuple(_scored(mover, outlook, moves, throttled) for mover in movers),
            moves,
            self._underway(),
            unsteered,
        )

    def _underway(self) -> frozenset[str]:
        named = ((each.node, each.source, each.controller) for each in self._ledger.uncleared())
        return frozenset(name for names in named for name in names)


def _others(order: Order, outlook: Outlook) -> list[Target]:
    """Return who else may be moved: those who hold the order's container up, or the heaviest of the node."""
    own = (order.target.namespace, order.target.pod)
    pods = [pod for which, pod in outlook.pods.items() if which != own and order.intent is Intent.MIGRATE]
    culprits = [pod for pod in pods if pod.caused > 0 and pod.caused >= outlook.culprit_from]
    heavy = sorted(pods, key=lambda pod: pod.forecast.get(order.resource, 0.0), reverse=True)[:_HEAVY]
    return [pod.heaviest for pod in (heavy if ahead(order) else culprits) if pod.heaviest is not None]


def _forecast(place: Place, outlook: Outlook) -> Place:
    rooms = {}
    for resource, room in place.rooms.items():
        seen = outlook.capacities.get((place.node, resource)) or room.capacity
        forecast = outlook.forecasts.get((place.node, resource))
        rooms[resource] = replace(room, capacity=min(room.capacity, seen), forecast=forecast)
    return replace(place, rooms=rooms)


def _scored(mover: Mover, outlook: Outlook, moves: Collection[Move], throttled: Mapping[Target, float]) -> Mover:
    seen = outlook.pods.get((mover.target.namespace, mover.target.pod), PodOutlook())
    own = [move.at for move in moves if move.controller_uid == mover.controller_uid]
    marked = [] if mover.moved_at is None else [mover.moved_at]
    apart = {node: _APART for namespace, node in outlook.broken if namespace == mover.target.namespace}
    return replace(
        mover,
        barriers={**apart, **mover.barriers},
        forecast=dict(seen.forecast),
        warm_bytes=seen.warm_bytes,
        suffered=seen.suffered,
        caused=seen.caused,
        risk=seen.risk,
        throttled_since=throttled.get(mover.target),
        moved_at=max((*own, *marked), default=None),
        moves_last_day=max(len(own), len(marked)),
    )
