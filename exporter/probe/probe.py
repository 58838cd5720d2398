"""What the probe knows: the kernel's counts by container, and its own health."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.probe.cgroups import Hierarchy
from exporter.probe.pairs import Pairs
from exporter.probe.stream import Event, Lost, Paired, Print
from exporter.probe.tally import Counts, Tally

_log = logging.getLogger(__name__)
_MOST_STRANGERS = 4096
"""Remembered: the dead are among them."""
_TELLING = 5
"""Prints without a known cgroup after which a person is told."""


@dataclass(frozen=True)
class ContainerState:
    """One container at a scrape. Times are seconds since the epoch."""

    path: str
    counts: Counts
    pairs: Mapping[int, int]
    """Pair of calls → count."""
    pressure: dict[tuple[str, str], float]
    read_at: float
    """When the pressure was read."""


@dataclass(frozen=True)
class Health:
    """The probe itself."""

    up: bool
    printed_at: float | None
    paired_at: float | None
    """When the pairs of calls were last read."""
    lost_events: int
    restarts: int


class Probe:
    """Takes events from one thread, answers scrapes from others."""

    def __init__(
        self, hierarchy: Hierarchy, tally: Tally, pairs: Pairs, clock: Callable[[], float], patience: float
    ) -> None:
        """``patience`` is the seconds without a print after which the probe no longer counts as up."""
        self._hierarchy = hierarchy
        self._tally = tally
        self._pairs = pairs
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._owners: dict[int, str] = {}
        self._strangers: set[int] = set()
        """Cgroups that were counted and are of no container."""
        self._left_out: set[int] = set()
        """Those of them that need not be counted any more, as the program was told."""
        self._own = hierarchy.own()
        self._unproven = 0
        """Prints since the program began in which no cgroup of the hierarchy was counted; -1 once one was."""
        self._up = False
        self._printed_at: float | None = None
        self._paired_at: float | None = None
        self._lost = 0
        self._restarts = 0

    def take(self, event: Event) -> None:
        """Take in one event."""
        with self._lock:
            match event:
                case Print():
                    self._meet(event)
                    self._tally.add(event, self._owners)
                    self._prove(event)
                    self._up, self._printed_at = self._unproven < 0, event.at
                case Paired():
                    self._pairs.add(event, self._owners)
                    self._paired_at = event.at
                case Lost(events):
                    self._lost += events

    def ended(self) -> None:
        """Take in that the program ended; counts go on from where they are when it comes back."""
        with self._lock:
            self._tally.restart()
            self._up, self._unproven = False, 0
            self._left_out = set()
            self._restarts += 1

    def leave_out(self) -> list[int]:
        """Return the ids of cgroups that need not be counted from now on; a 0 first, where all are to be counted again.

        Until counts are proven all are needed. One that was left out must be counted again when it is a container's
        after all, since the hierarchy could not be read whole, or when it is not remembered any more.
        """
        with self._lock:
            if self._unproven >= 0:
                return []
            self._strangers -= self._owners.keys()
            anew = not self._left_out <= self._strangers
            known = set() if anew else self._left_out
            self._left_out = set(self._strangers)
            return [0] * anew + sorted(self._left_out - known)

    def snapshot(self) -> tuple[list[ContainerState], Health]:
        """Return every container that is there now, and the probe's own health."""
        with self._lock:
            self._look()
            paths = sorted(set(self._owners.values()))
            states = [self._state(path) for path in paths]
            return states, Health(self._is_up(), self._printed_at, self._paired_at, self._lost, self._restarts)

    def _is_up(self) -> bool:
        return self._up and self._printed_at is not None and self._clock() - self._printed_at < self._patience

    def _state(self, path: str) -> ContainerState:
        counts = dict(self._tally.counts(path))
        pairs = dict(self._pairs.counts(path))
        return ContainerState(path, counts, pairs, self._hierarchy.pressure(path), self._clock())

    def _prove(self, printed: Print) -> None:
        """Believe counts only when they are of a container, or of this very program: ids and directories then agree."""
        if self._unproven < 0:
            return
        seen = _cgroups(printed)
        if self._own in seen or seen & self._owners.keys():
            self._unproven = -1
            return
        self._unproven += 1
        if self._unproven == _TELLING:
            _log.warning("the kernel counts no cgroup that is mounted here; name the host's hierarchy by --cgroup.root")

    def _meet(self, printed: Print) -> None:
        """Look again when a print has cgroups that were never seen; those of the host are remembered as strangers."""
        seen = _cgroups(printed)
        if seen - self._owners.keys() - self._strangers:
            self._look()
            kept = self._strangers if len(self._strangers) < _MOST_STRANGERS else set()
            self._strangers = (kept | seen) - self._owners.keys()

    def _look(self) -> None:
        self._owners = self._hierarchy.containers()
        paths = set(self._owners.values())
        self._tally.keep(paths)
        self._pairs.keep(paths)


def _cgroups(printed: Print) -> set[int]:
    return {int(key.partition(",")[0]) for values in printed.maps.values() for key in values}
