"""What is done: plans and their steps, refusals, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from actuator.model.orders import Target


class StepState(StrEnum):
    """Where a step stands; recorded before and after each touch of the platform."""

    PLANNED = "planned"
    STARTED = "started"
    DONE = "done"  # verified in the kernel
    REVERTED = "reverted"  # the check failed and the old value is back
    FAILED = "failed"  # neither done nor reverted: a person must look
    CANCELLED = "cancelled"
    DRY_RUN = "dry_run"


@dataclass(frozen=True)
class Step:
    """One change: hold or drop capacity, set a limit in the kernel, or a part of a move to another node."""

    kind: str
    """``reserve``, ``release`` or ``set_limit``; of a move ``place``, ``steer``, ``evict``, ``land`` or ``clear``."""
    resource: str
    before: float | None
    after: float | None
    """Limit or reserved amount; None for no limit."""
    expires_at: float | None = None
    """When the effect ends by itself, or is waited for no longer; None for never. A ``set_limit`` that has one is a
    throttle."""
    due_at: float | None = None
    """For ``reserve``: when the demand is forecast to arrive. For ``land``: when the newest pod was made."""
    leak: bool = False
    """Whether this is the one raise that a leak is given; the ledger counts it in ``Memory.leak_raises``."""
    node: str = ""
    """Where a move goes; empty for what is done where the container is."""
    uid: str = ""
    """Of the pod that ``place`` and ``evict`` mean, or of the controller whose next pod ``steer`` and ``land`` mean."""


@dataclass(frozen=True)
class Plan:
    """Steps to take, and all that led to them."""

    steps: tuple[Step, ...]
    reason: str
    inputs: Mapping[str, object] = field(default_factory=dict)
    target: Target | None = None
    """Whom it concerns where that is not the order's container: a move may take the culprit instead of the victim."""


@dataclass(frozen=True)
class Refusal:
    """Why nothing is done."""

    reason: str
    """A short fixed code such as ``stale_data``, ``cooldown``, ``opted_out``; a metric label."""
    detail: str
    retryable: bool


@dataclass(frozen=True)
class StepOutcome:
    """What became of one ``set_limit`` step on the platform."""

    state: StepState
    """``DONE``, ``REVERTED`` or ``FAILED``."""
    kernel_file: str = ""
    before_raw: str = ""
    after_raw: str = ""
    error: str = ""
    """Why it is not done; empty where it is."""
    refusal: Refusal | None = None
    """What becomes of the order, where the platform's answer decides that."""


@dataclass(frozen=True)
class Notice:
    """What the owner of a container should know of a decision."""

    at: float
    """Epoch seconds."""
    action: str
    """The intent."""
    reason: str
    """In one word, as Kubernetes has it: ``OptedOut``."""
    text: str
    warning: bool
    """Whether nothing is done."""
