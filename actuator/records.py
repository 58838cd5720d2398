"""The nouns of intake and ledger: alerts as they come, and orders' traces as they are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from actuator.model.decisions import Refusal, Step, StepState
from actuator.model.knowledge import Throttle
from actuator.model.orders import Intent, Target


@dataclass(frozen=True)
class Alert:
    """One alert of a delivery, validated."""

    fingerprint: str
    name: str
    firing: bool
    starts_at: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Wish:
    """What one alert asks for, read from its labels."""

    target: Target
    resource: str
    intent: Intent
    severity: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """An alert, and what was made of it: a wish, a refusal, or None where it asks for nothing."""

    alert: Alert
    result: Wish | Refusal | None


@dataclass(frozen=True)
class Delivery:
    """One body that Alertmanager posted, validated."""

    receiver: str
    group_key: str
    alerts: tuple[Alert, ...]
    truncated: int
    """Alerts that Alertmanager left out."""


class Origin(StrEnum):
    """What led to a decision."""

    ORDER = "order"
    TTL = "ttl"  # a throttle's or a reservation's time was over
    PREEMPTED = "preempted"  # others have taken what was held
    CALM = "calm"  # a throttle's cause has been gone for a while
    RESTORE = "restore"  # a person asked for the owner's limits


@dataclass(frozen=True)
class StepRecord:
    """A step as the ledger keeps it."""

    id: int
    order_id: int
    target: Target
    step: Step
    state: StepState
    origin: Origin
    starts: int
    """How often it was begun; more than once only after a crash."""
    after_raw: str = ""
    """What was found once it had ended."""


@dataclass(frozen=True)
class Migration:
    """A move that is not yet cleared."""

    order_id: int
    steps: Mapping[str, StepRecord]
    """By kind: ``place``, ``steer``, ``evict``, ``land`` and ``clear``."""

    @property
    def target(self) -> Target:
        """The container by which the pod that moves is called."""
        return self.steps["place"].target

    @property
    def controller(self) -> str:
        """Uid of the controller whose pod moves."""
        return self.steps["steer"].step.uid

    @property
    def source(self) -> str:
        """Where it comes from."""
        return self.target.node

    @property
    def node(self) -> str:
        """Where it goes."""
        return self.steps["place"].step.node

    def steers(self, at: float) -> bool:
        """Tell whether the controller's next pod is to be sent there."""
        steer = self.steps["steer"]
        return steer.state is StepState.DONE and (steer.step.expires_at or at) >= at


@dataclass(frozen=True)
class ThrottleRecord:
    """A throttle in force, and what its loosening needs to know."""

    throttle: Throttle
    order_id: int
    calm_since: float | None
    """Since when fresh queries say that the cause is gone; None while it is not."""


@dataclass(frozen=True)
class Held:
    """A limit that this system has changed."""

    target: Target
    resource: str
    owner_limit: float | None
    current: float | None
    order_id: int
    """The order that touched it first."""
