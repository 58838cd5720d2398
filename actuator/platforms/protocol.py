"""What the actuator asks of a platform. One protocol, so that decisions and execution know no platform."""

from collections.abc import Mapping
from typing import Protocol

from actuator.model.decisions import Notice
from actuator.model.knowledge import Allocation, KernelValue, OwnerLimits
from actuator.model.orders import Target


class Platform(Protocol):
    """Every method may raise the errors of ``platforms.errors``."""

    @property
    def name(self) -> str:
        """Return ``docker``, ``kubernetes`` or ``swarm``."""

    def inspect(self, target: Target) -> Allocation | None:
        """Return what the container has now; None when it does not exist."""

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        """Set the limit of ``cpu`` (cores) or ``memory`` (bytes); None takes the limit away."""

    def hold(self, target: Target, resource: str, amount: float) -> None:
        """Hold so much of the container's host, in cores or bytes, until it is let go; holding it already is right."""

    def let_go(self, target: Target, resource: str) -> None:
        """Hold no more of the resource for the container; holding none already is right."""

    def holding(self) -> Mapping[tuple[Target, str], bool] | None:
        """Return for whom something is held, by resource, False where others have taken it since.

        None where the ledger's entry is the hold.
        """

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        """Read the limit in force from the container's cgroup."""

    def withdraw(self, target: Target, resource: str) -> None:
        """Take back a limit that was asked for and is not in force; none is right."""

    def remembered(self) -> list[OwnerLimits]:
        """Return what owners had set, of containers of which the platform itself keeps that."""

    def forget(self, target: Target) -> None:
        """Let the platform keep no more what the owner had set, once that is in force again."""

    def tell(self, target: Target, notice: Notice) -> None:
        """Let those who look at the container know; never raises."""
