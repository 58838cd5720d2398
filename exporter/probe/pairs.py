"""Pairs of calls per container: which call a thread makes after which, in bounded memory."""

from collections.abc import Mapping

from exporter.probe.stream import Paired
from exporter.probe.syscalls import OVERFLOW

MOST_OF_ONE, FEWEST_OF_ONE = 128, 16
"""Pairs told apart of one container: all of most, since few have over a hundred; fewer where containers are many."""
MOST_TOGETHER = 32768
"""Pairs told apart of all containers, if none has the fewest; 4 MB."""
SHIFT = OVERFLOW + 1
"""A pair is the first call's number times this, plus the second's."""
OTHER = OVERFLOW * SHIFT + OVERFLOW
"""The pair as which those are counted that are not told apart."""


class Pairs:
    """Adds up what each reading has.

    Where a container has too many, the rarer half of them is forgotten and counted together: starting a container
    makes many pairs once, and what comes all the time must find room after it (after Manku and Motwani, 2002).
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[int, int]] = {}

    def add(self, read: Paired, owners: Mapping[int, str]) -> None:
        """Take in a reading; ``owners`` is cgroup id → container path, and what has no owner is left out."""
        for key, count in read.pairs.items():
            cgroup, _, pair = key.partition(",")
            owner = owners.get(int(cgroup))
            if owner is not None:
                counts = self._counts.setdefault(owner, {})
                counts[int(pair)] = counts.get(int(pair), 0) + count
        self._thin()

    def _thin(self) -> None:
        most = max(FEWEST_OF_ONE, min(MOST_OF_ONE, MOST_TOGETHER // max(len(self._counts), 1)))
        for path, counts in self._counts.items():
            if len(counts) > most:
                others = counts.pop(OTHER, 0)
                ordered = sorted(counts.items(), key=lambda pair: -pair[1])
                others += sum(count for _, count in ordered[most // 2 :])
                self._counts[path] = dict(ordered[: most // 2]) | {OTHER: others}

    def keep(self, paths: set[str]) -> None:
        """Forget the containers that are not among these paths."""
        for path in self._counts.keys() - paths:
            del self._counts[path]

    def counts(self, path: str) -> Mapping[int, int]:
        """Return a container's counts by pair; a pair never seen is absent."""
        return self._counts.get(path, {})
