"""System calls by name: current rates of all of them, and the few of each container that are followed by name."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.counters import Counters, Doubles
from exporter.history.identity import Identity
from exporter.history.index import Identify, SeriesIndex
from exporter.history.intake import rows_of
from exporter.history.registry import Registry
from exporter.sources.exposition import Family

_SMOOTHING = 0.2
_CLEARLY_MORE = 2.0


@dataclass(frozen=True)
class LabelledRates:
    """Rates of one labelled family now, [rows, names], per second; NaN where nothing was seen."""

    names: tuple[str, ...]
    held: Doubles
    used: NDArray[np.bool_]
    """[rows, names], whether the counter ever left zero."""


@dataclass(frozen=True)
class Followings:
    """The calls that are followed by name, [rows, slots]."""

    calls: NDArray[np.intp]
    """Columns of the calls' rates; -1 where a slot is free."""
    level: Doubles
    """Smoothed rates, calls per second."""
    replaced: NDArray[np.bool_]
    """Where another call is followed from now on."""


class Labelled:
    """A family of counters with one more label, whose values become columns as they appear."""

    def __init__(self, label: str, stale_after: float, identify: Identify) -> None:
        self._index = SeriesIndex(identify, label)
        self._names: dict[str, int] = {}
        self._rates = Counters(8, stale_after)

    def update(self, family: Family, registry: Registry, now: float) -> LabelledRates:
        """Return the rates after ``family``."""
        entries = self._index.entries(family.keys)
        columns = np.array([self._names.setdefault(e.label, len(self._names)) for e in entries], np.intp)
        rows = rows_of(entries, registry)
        shape = (len(registry), len(self._names))
        values, stamps = np.full(shape, np.nan), np.full(shape, np.nan)
        mine = rows >= 0
        where = rows[mine], columns[mine]
        values[where], stamps[where] = family.values[mine], family.timestamps[mine]
        self._rates.begin_at_zero(values)
        rates = self._rates.update(values, stamps, now)
        return LabelledRates(tuple(self._names), rates.held, values > 0)

    def identities(self, family: Family) -> dict[str, Identity]:
        """Return whom ``family`` lists, by key."""
        entries = self._index.entries(family.keys)
        return {entry.identity.key: entry.identity for entry in entries if entry.identity is not None}

    @property
    def names(self) -> list[str]:
        """The label's values, in the order of their columns."""
        return list(self._names)

    @property
    def columns(self) -> Mapping[str, int]:
        """The column of each of the label's values."""
        return self._names

    def expect(self, names: list[str]) -> None:
        """Give ``names`` the first columns, as they had when something was learned of them."""
        self._names = {name: column for column, name in enumerate(names)}

    def remove(self, row: int, last: int) -> None:
        """Forget ``row``; the row ``last`` takes its place."""
        self._rates.reshape(last + 1, len(self._names))
        self._rates.remove(row, last)


class Followed:
    """The calls that each container is followed by, in slots, so that published series do not come and go.

    A call takes the slot of the rarest followed one only where it is clearly more frequent.
    """

    def __init__(self, slots: int, rows: int = 16) -> None:
        self._slots = np.full((rows, slots), -1, np.intp)
        self._level = np.zeros((rows, slots))

    def remove(self, row: int, last: int) -> None:
        """Forget ``row``; the row ``last`` takes its place."""
        self._grow(last + 1)
        for array, empty in ((self._slots, -1), (self._level, 0)):
            array[row] = array[last]
            array[last] = empty

    def update(self, rates: Doubles) -> Followings:
        """Return whom the slots follow after ``rates`` [rows, calls]."""
        rows, calls = rates.shape
        self._grow(rows)
        slots, level = self._slots[:rows], self._level[:rows]
        before = slots.copy()
        if calls:
            present = np.nan_to_num(rates)
            for _ in range(slots.shape[1]):
                if not self._admit_one(slots, level, present):
                    break
            followed = np.take_along_axis(present, np.maximum(slots, 0), axis=1)
            level += _SMOOTHING * (np.where(slots >= 0, followed, 0) - level)
        return Followings(slots.copy(), level.copy(), slots != before)

    def _admit_one(self, slots: NDArray[np.intp], level: Doubles, present: Doubles) -> bool:
        candidates = present.copy()
        row, slot = np.nonzero(slots >= 0)
        candidates[row, slots[row, slot]] = 0
        best = candidates.argmax(axis=1)
        rows = np.arange(len(slots))
        weakest = np.where(slots < 0, -1.0, level).argmin(axis=1)
        free = slots[rows, weakest] < 0
        rate = candidates[rows, best]
        wins = (rate > 0) & (free | (rate > _CLEARLY_MORE * level[rows, weakest]))
        slots[rows[wins], weakest[wins]] = best[wins]
        level[rows[wins], weakest[wins]] = rate[wins]
        return bool(wins.any())

    def _grow(self, rows: int) -> None:
        missing = rows - len(self._slots)
        if missing > 0:
            more = max(missing, len(self._slots))
            self._slots = np.vstack([self._slots, np.full((more, self._slots.shape[1]), -1, np.intp)])
            self._level = np.vstack([self._level, np.zeros((more, self._level.shape[1]))])
