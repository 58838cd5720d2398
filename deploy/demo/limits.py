"""Watches the limit files of the demo's containers: what the kernel says, apart from anything the actuator claims."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.demo.kernel import LimitFiles, raw_limit

_RESOURCES = ("cpu", "memory")


@dataclass(frozen=True)
class Change:
    """A limit file that holds something else than before."""

    container: str
    resource: str
    kernel_file: str
    before: int | str
    after: int | str
    at: float
    """Epoch seconds at which it was seen."""
    memory_used: float
    """Bytes charged to the container at that moment."""


@dataclass
class LimitWatch:
    """Remembers what each file held when it was last read."""

    files: Mapping[str, LimitFiles]
    """By container name."""
    _held: dict[tuple[str, str], int | str] = field(default_factory=dict)

    def changes(self, now: float) -> list[Change]:
        """Return what has changed since the last call; the first call only reads."""
        found = []
        for container, files in self.files.items():
            for resource in _RESOURCES:
                try:
                    change = self._change(container, files, resource, now)
                except OSError:  # the container has ended, and its files went with it
                    continue
                if change:
                    found.append(change)
        return found

    def _change(self, container: str, files: LimitFiles, resource: str, now: float) -> Change | None:
        path = files.path(resource)
        held = raw_limit(path)
        before = self._held.setdefault((container, resource), held)
        if held == before:
            return None
        used = files.memory_used()
        self._held[container, resource] = held
        return Change(container, resource, str(path), before, held, now, used)
