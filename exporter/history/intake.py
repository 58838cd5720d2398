"""Samples of one source → arrays with a row per container."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.counters import Counters, Doubles, Rates
from exporter.history.identity import Identity
from exporter.history.index import Entry, Identify, SeriesIndex
from exporter.history.registry import Registry
from exporter.sources.exposition import NO_SAMPLES, Family, Samples
from exporter.sources.families import Counter, Gauge, Wanted


@dataclass(frozen=True)
class Table:
    """Current values of one source, [rows, families], and when they were taken."""

    values: Doubles
    stamps: Doubles
    """Epoch seconds; NaN where the source gives no time."""

    def since(self, at: float) -> Doubles:
        """Return the values taken after ``at``, or at no stated time; NaN elsewhere."""
        return np.where(self.stamps <= at, np.nan, self.values)


class Intake:
    """Reads one source's counters and gauges; remembers its series and its counters' last samples."""

    def __init__(
        self, counters: tuple[Counter, ...], gauges: tuple[Gauge, ...], stale_after: float, identify: Identify
    ) -> None:
        self._counters = counters
        self._gauges = gauges
        self._indexes = {entry: SeriesIndex(_recogniser(identify, entry)) for entry in (*counters, *gauges)}
        self._rates = Counters(len(counters), stale_after)

    def identities(self, samples: Samples) -> dict[str, Identity]:
        """Return whom the source lists, by key."""
        return {
            entry.identity.key: entry.identity
            for counter in self._counters
            for entry in self._entries(samples, counter)
            if entry.identity is not None
        }

    def rates(self, samples: Samples, registry: Registry, now: float) -> Rates:
        """Return the rates of the counters, [rows, counters]."""
        table = self._table(samples, registry, self._counters)
        return self._rates.update(table.values, table.stamps, now)

    def gauges(self, samples: Samples, registry: Registry) -> Table:
        """Return the gauges, [rows, gauges]."""
        return self._table(samples, registry, self._gauges)

    def remove(self, row: int, last: int) -> None:
        """Forget ``row``; the row ``last`` takes its place."""
        self._rates.reshape(last + 1, len(self._counters))
        self._rates.remove(row, last)

    def _entries(self, samples: Samples, of: Wanted) -> list[Entry]:
        return self._indexes[of].entries(samples.get(of.family, NO_SAMPLES).keys)

    def _table(self, samples: Samples, registry: Registry, wanted: Sequence[Wanted]) -> Table:
        values = np.full((len(registry), len(wanted)), np.nan)
        stamps = np.full_like(values, np.nan)
        for column, of in enumerate(wanted):
            family = samples.get(of.family, NO_SAMPLES)
            rows = rows_of(self._entries(samples, of), registry)
            values[:, column], stamps[:, column] = _sum_by_row(rows, family, len(registry))
        return Table(values, stamps)


def rows_of(entries: list[Entry], registry: Registry) -> NDArray[np.intp]:
    """Return the row of each entry; -1 where it has none."""
    find = registry.row
    rows = (None if entry.identity is None else find(entry.identity.key) for entry in entries)
    return np.array([-1 if row is None else row for row in rows], np.intp)


def _sum_by_row(rows: NDArray[np.intp], family: Family, count: int) -> tuple[Doubles, Doubles]:
    mine = rows >= 0
    rows = rows[mine]
    seen = np.bincount(rows, minlength=count) > 0
    total = np.bincount(rows, weights=family.values[mine], minlength=count)
    stamps = np.full(count, -np.inf)
    np.fmax.at(stamps, rows, family.timestamps[mine])
    return np.where(seen, total, np.nan), np.where(np.isfinite(stamps), stamps, np.nan)


def _recogniser(identify: Identify, of: Wanted) -> Identify:
    def recognise(labels: dict[str, str]) -> Identity | None:
        identity = identify(labels) if labels.get("event", "") == of.event else None
        if identity is None or identity.container or of.pod_level or not identity.pod:
            return identity
        return None

    return recognise
