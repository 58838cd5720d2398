"""The nouns of placement: nodes with their room, pods that may move, and what is known of both at one time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from actuator.model.orders import Target

MOVED_AT = "cpp/moved-at"
"""Annotation of a replacement that was steered: when, in epoch seconds."""
MOVED_FROM = "cpp/moved-from"
"""Annotation of a replacement that was steered: uid of the pod that it replaces."""
ISOLATED = "isolated"
"""The security tier of nodes that take risky containers, and nobody else."""


@dataclass(frozen=True)
class Room:
    """One resource of a node, in cores or bytes."""

    capacity: float
    """All that it has for pods."""
    unrequested: float
    """What the scheduler can still promise; placeholders have taken their part already."""
    held: float = 0.0
    """What placeholders hold: not in use yet, so in no forecast."""
    forecast: float | None = None
    """Highest .9 forecast of the node's use over the horizons; None where it is unknown or stale."""


@dataclass(frozen=True)
class Place:
    """A node that a pod may move to, or is on."""

    node: str
    rooms: Mapping[str, Room]
    """By ``cpu`` and ``memory``."""
    tier: str = ""
    """Its security tier; empty where nobody gave it one."""


@dataclass(frozen=True)
class Mover:
    """A pod that may be moved, and what bears on whether it should."""

    target: Target
    """The container by which its orders call it."""
    uid: str
    controller: str
    """Kind and name of who would replace it, for example ``ReplicaSet web-5d4f``; empty for a bare pod."""
    controller_uid: str
    requests: Mapping[str, float]
    """By resource, of the whole pod."""
    forecast: Mapping[str, float]
    """Highest .9 forecast by resource, of the whole pod."""
    warm_bytes: float = 0.0
    """Working set, which has to be read or computed again."""
    start_up: float | None = None
    """Seconds from start to Ready that its like have taken; None where none is Ready."""
    replicas: int = 1
    """Ready pods of the same controller, itself included."""
    newest_made_at: float = 0.0
    """When the controller's newest pod was made, by the API server's clock."""
    disruptions_left: int | None = None
    """What its disruption budget allows now; None where it has none."""
    suffered: float = 0.0
    """How much it is held up by others, 0-1."""
    caused: float = 0.0
    """Its part in the trouble of others that the order is about, 0-1."""
    risk: float = 0.0
    """Its security risk, 0-1."""
    throttled_since: float | None = None
    throttleable: bool = False
    """Whether a CPU limit could slow it down in place."""
    moved_at: float | None = None
    """When a pod of its controller was last moved, within the last day."""
    moves_last_day: int = 0
    local_volumes: tuple[str, ...] = ()
    """Volumes whose content would be lost, and whose loss nobody has allowed."""
    may_be_alone: bool = False
    """Whether the owner lets its only replica be moved."""
    opted_out: bool = False
    own_part: bool = False
    steered: bool = True
    """Whether its namespace lets replacements be steered."""
    barriers: Mapping[str, str] = field(default_factory=dict)
    """Why it cannot run on a node, by the node's name."""


@dataclass(frozen=True)
class Move:
    """One pod sent from a node to another."""

    controller_uid: str
    source: str
    node: str
    at: float


@dataclass(frozen=True)
class Scene:
    """What is known, at one time, of the nodes and of the pods that an order to move could move."""

    places: tuple[Place, ...]
    movers: tuple[Mover, ...]
    """The order's own pod first; then those that hold it up."""
    moves: tuple[Move, ...] = ()
    """Of the last day, and those underway."""
    underway: frozenset[str] = frozenset()
    """Nodes, and uids of controllers, that a move underway concerns."""
    unsteered: str = ""
    """Why no replacement would be steered, in whatever namespace, and the remedy; empty where nothing is wrong."""
    problem: str = ""
    """Why the cluster or Prometheus could not be asked; then nothing else here means anything."""

    def place(self, node: str) -> Place | None:
        """Return a node."""
        return next((place for place in self.places if place.node == node), None)


@dataclass(frozen=True)
class Landing:
    """The replacement of a pod that was evicted."""

    pod: str
    node: str
    """Empty while no node is chosen."""
    ready: bool
