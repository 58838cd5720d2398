"""Objects of a cluster in which each container's live rows are kept, as the ledger sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """One object as it is in the cluster."""

    name: str
    version: str
    spec: Spec


class Objects(Protocol):
    """Every method may raise PlatformError; ConflictError where the object is of another version, or there already."""

    def all(self) -> list[Stored]:
        """Return every object."""

    def get(self, name: str) -> Stored:
        """Return one object; GoneError where there is none."""

    def create(self, name: str, spec: Spec) -> str:
        """Make an object; return its version."""

    def replace(self, name: str, spec: Spec, version: str) -> str:
        """Change an object that is of ``version``; return the new one. GoneError where there is none."""

    def delete(self, name: str, version: str) -> None:
        """Remove an object that is of ``version``. GoneError where there is none."""
