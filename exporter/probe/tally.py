"""Counts per container that only grow, whatever happens to the program and to cgroups within the container."""

from collections import defaultdict
from collections.abc import Mapping

from exporter.probe.devices import disk_sectors
from exporter.probe.stream import Maps, Print

Counts = dict[tuple[str, int], int]
"""(map, label as a number or 0) → count."""

_BY_DEVICE = ("read", "written")


class Tally:
    """Adds up what each print has more than the one before."""

    def __init__(self) -> None:
        self._before: Maps = {}
        self._totals: dict[str, Counts] = {}

    def restart(self) -> None:
        """Expect counts from zero: the program was started again."""
        self._before = {}

    def add(self, printed: Print, owners: Mapping[int, str]) -> None:
        """Take in a print; ``owners`` is cgroup id → container path, and what has no owner is left out."""
        for name, values in printed.maps.items():
            self._add_map(name, disk_sectors(values) if name in _BY_DEVICE else values, owners)
        self._before = {} if printed.cleared else printed.maps

    def _add_map(self, name: str, values: Mapping[str, int], owners: Mapping[int, str]) -> None:
        before = self._before.get(name, {})
        for key, value in values.items():
            gained = value - before.get(key, 0)
            if gained <= 0:
                continue
            cgroup, _, label = key.partition(",")
            owner = owners.get(int(cgroup))
            if owner is not None:
                counts = self._totals.setdefault(owner, defaultdict(int))
                counts[name, 0 if name in _BY_DEVICE else int(label or 0)] += gained

    def keep(self, paths: set[str]) -> None:
        """Forget the containers that are not among these paths."""
        for path in self._totals.keys() - paths:
            del self._totals[path]

    def counts(self, path: str) -> Counts:
        """Return a container's counts; a label never seen is absent."""
        return self._totals.get(path, {})
