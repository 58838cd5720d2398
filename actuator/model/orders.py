"""What is asked: the orders that alerts open, each about one container."""

from dataclasses import dataclass
from enum import StrEnum


class Intent(StrEnum):
    """What an alert asks for, in order of precedence on one container, strongest first."""

    QUARANTINE = "quarantine"
    ENFORCE = "enforce"
    RELIEVE = "relieve"
    MIGRATE = "migrate"
    ACTIVATE = "activate"
    RESERVE = "reserve"
    RELEASE = "release"
    RECLAIM = "reclaim"


class OrderState(StrEnum):
    """Where an order stands."""

    OPEN = "open"  # to be planned now or again after the cooldown, while its alert fires
    RESOLVED = "resolved"  # the alert ended; steps not yet begun are cancelled
    EXPIRED = "expired"  # not refreshed for twice the repeat interval
    REFUSED = "refused"  # refused for good


@dataclass(frozen=True)
class Target:
    """A container, by the identity labels of the contract."""

    node: str
    namespace: str
    pod: str
    container: str
    container_id: str


@dataclass(frozen=True)
class Order:
    """One wish for one (container, resource, intent), open while its alert fires."""

    id: int
    target: Target
    resource: str
    """A resource of the contract, or empty where the intent concerns the whole container."""
    intent: Intent
    alert: str
    """Name of the alert rule, whose condition is asked again before each step."""
    severity: str
    reason: str
    """The alert's description."""
    state: OrderState
    opened_at: float
    refreshed_at: float
    attempts: int = 0
    not_before: float = 0.0
    """Epoch seconds before which the worker leaves it alone."""
