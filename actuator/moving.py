"""What moves ask of a platform, as protocols. Every method may raise the errors of ``platforms.errors``."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from actuator.model.orders import Target
from actuator.outlook import Scout
from actuator.placement import Landing, Mover, Place

STEERING_DOWN = "steering_down"
"""The code of a refusal to evict what would land anywhere."""
AFTERWARDS = ("land", "clear")
"""What waits for others, or ends what was begun: no order's thread is kept busy with it."""


class Nodes(Protocol):
    """What the platform knows of nodes and pods."""

    def places(self) -> tuple[Place, ...]:
        """Return every node that has room for pods, without forecasts."""

    def movers(self, targets: Collection[Target]) -> list[Mover]:
        """Return the pods of those containers that are there, without forecasts and scores."""


class Hands(Protocol):
    """What touches pods and nodes; each call may be repeated."""

    def place(self, target: Target, uid: str, node: str) -> float:
        """Hold room on ``node`` for all that the pod requests; return when its controller's newest pod was made."""

    def evict(self, target: Target, uid: str) -> None:
        """Evict the pod of this uid, while room is held for it."""

    def evicted(self, target: Target, uid: str) -> bool:
        """Tell whether that pod is gone or on its way out."""

    def landing(self, target: Target, uid: str, controller: str, made_after: float) -> Landing | None:
        """Return where its replacement is; None where there is none yet."""

    def clear(self, uid: str) -> None:
        """Hold no more room for it."""

    def steered(self, namespace: str, uid: str) -> bool:
        """Tell whether a replacement was steered already and is there."""

    def held(self) -> list[str]:
        """Return the uids of the pods for whose moves room is held."""


Check = Callable[[], str]
"""Says why a replacement made now would not be steered, and the remedy; empty where it would. Raises PlatformError."""


@dataclass(frozen=True)
class Moving:
    """A platform that moves pods."""

    nodes: Nodes
    hands: Hands
    scout: Scout
    steering: Check
