"""What is known: what the platform, the kernel, Prometheus and the ledger say of a container."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from actuator.model.orders import Intent, Target


@dataclass(frozen=True)
class OwnerLimits:
    """What the owner had set before this system first touched the container; for ``restore``."""

    target: Target
    cpu_limit: float | None
    memory_limit: float | None


@dataclass(frozen=True)
class Allocation:
    """What the platform says the container has now, read from its API and the kernel."""

    cpu_limit: float | None
    """Cores; None where unset."""
    memory_limit: float | None
    """Bytes; None where unset."""
    memory_usage: float
    """Bytes charged now, page cache included."""
    host_cpu: float
    """Cores of the host."""
    host_memory: float
    """Bytes of the host."""
    running: bool = True
    opted_out: bool = False
    managed_by: str = ""
    """Who else owns the limits, for example ``swarm service web``; empty for nobody."""
    own_part: bool = False
    """Whether it is a part of this system, of Prometheus or of Alertmanager."""
    started_at: float = 0.0
    """Epoch seconds."""
    managed: Mapping[str, str] = field(default_factory=dict)
    """Who else sets a resource or goes by it, by resource, for example ``HorizontalPodAutoscaler web``."""
    bad_annotation: str = ""
    """What is written on the container and makes no sense; it is left alone then. Empty where all does."""
    owner: OwnerLimits | None = None
    """What the owner had set, where the platform itself remembers it: then this system has changed the container,
    or an earlier one in its place, whose limits it has. ``owner.target`` is the container that is there now."""


@dataclass(frozen=True)
class KernelValue:
    """A limit as the kernel has it."""

    file: str
    """Path of the control group file that was read."""
    raw: str
    """Its text, stripped."""
    limit: float | None
    """Cores or bytes; None for no limit."""


@dataclass(frozen=True)
class Observation:
    """What Prometheus says of an order's container, at one time."""

    at: float
    """Epoch seconds of the query."""
    firing: bool
    """Whether the alert rule's expression holds for this container now."""
    sample_age: float
    """Seconds that the slower link from the container to Prometheus takes; infinite without a sample."""
    fresh_within: float = 30.0
    """A link slower than this, two scrape intervals, gives no truth to act on."""
    problem: str = ""
    """Why Prometheus could not be asked, and then nothing else here means anything; empty where it answered."""
    clock_skew: float = 0.0
    """Seconds by which the clock of Prometheus or of the node's exporter is ahead of ours, where that shows."""
    usage: float | None = None
    forecast: float | None = None
    """Highest .9 forecast over the horizons."""
    forecast_top: float | None = None
    """Highest .99 forecast over the horizons."""
    forecast_due_at: float | None = None
    """Epoch seconds at which the first horizon's .9 forecast exceeds the limit."""
    peak: float | None = None
    """Highest usage over the last day, or all there is."""
    history_seconds: float = 0.0
    throttled_ratio: float = 0.0
    oom_kills_last_day: float = 0.0
    """Seen to happen within the day; extrapolated, so no whole number."""
    exhaustion_seconds: float | None = None
    node_capacity: float | None = None
    node_forecast: float | None = None
    """Highest .9 forecast of the node's use of the resource over the horizons."""


@dataclass(frozen=True)
class Reservation:
    """Capacity held but not activated."""

    target: Target
    resource: str
    amount: float
    """Above the limit in force, in the resource's unit."""
    due_at: float
    """Epoch seconds at which the demand is forecast to arrive."""
    expires_at: float


@dataclass(frozen=True)
class Throttle:
    """A limit lowered for a while; the old one returns by itself."""

    target: Target
    resource: str
    before: float | None
    """The limit to return to; None where none was set."""
    limit: float
    expires_at: float
    relapses: int = 0


@dataclass(frozen=True)
class Memory:
    """What the ledger remembers that bears on a decision about one order."""

    owner: OwnerLimits | None = None
    reservation: Reservation | None = None
    throttle: Throttle | None = None
    relapses: int = 0
    """How often, of late, the cause came back after a throttle was loosened or had ended; this time included."""
    raises: int = 0
    """Raises done on this (container, resource) since the owner's limits were last in force."""
    leak_raises: int = 0
    last_action_at: float | None = None
    stronger_open: Intent | None = None
    """A stronger intent that holds the container, if any."""
    actions_last_hour: int = 0
    reserved_on_host: float = 0.0
    """Sum of the other reservations of this resource on this host."""
