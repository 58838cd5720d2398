"""The recent past that a fresh replica has from its elder, until it has lived through as much itself.

Models look back over a day, and along short rhythms. What a fresh container cannot know of that is filled in from
what its elder leaves it, at the newcomer's own level: its newest columns, and means of the older ones.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from exporter.forecast.demand import Demand
from exporter.history.windows import Floats, Integers

FINE = 480
"""Newest columns that a container leaves as they are: enough for short rhythms."""
COARSE = 10
"""Older columns that it leaves as one mean."""
_LEVEL = 5
"""Columns that a level is taken from, on either side."""
_RECENT = 60
"""Columns after which an elder's last level says nothing of a newcomer's first."""
_SAME = 0.3
"""Log ratio of levels, over the root of the newcomer's columns, under which both count as the same."""
_LATEST = 60
"""Columns by which a newcomer's load may run behind its elder's."""
_TELLING = 5
"""Columns of its own from which a newcomer's lag can be told."""
_CONVINCING = 0.5
"""Share of the distance without a lag that must be left with it: most replicas have none."""
_LARGEST_SCALE = 8.0
_SMALLEST = 1e-20


@dataclass(frozen=True)
class Past:
    """What one container leaves."""

    fine: Floats
    """[resources, FINE or fewer], newest last; NaN before its first sample"""
    coarse: Floats
    """[resources, means], what was before those"""
    newest: int
    """Absolute number of the last column."""

    @property
    def values(self) -> Floats:
        """[resources, columns], newest last."""
        return np.concatenate([np.repeat(self.coarse, COARSE, axis=1), self.fine], axis=1)

    def scaled(self, scale: Floats) -> "Past":
        """Return it at another level, ``scale`` [resources] times its own."""
        return replace(self, fine=self.fine * scale[:, None], coarse=self.coarse * scale[:, None])

    def unrest(self) -> Floats:
        """Return [resources], how far a value usually is from those shortly before, as a share of the mean."""
        known = np.nan_to_num(self.fine)
        apart = np.abs(known[:, _LEVEL:] - known[:, :-_LEVEL]).sum(axis=1)
        return np.asarray(apart / (np.abs(known).sum(axis=1) + _SMALLEST), np.float32)


class Heritage:
    """Remembers what each container would leave, and gives it to those that come after."""

    def __init__(self, resources: int, kept_workloads: int) -> None:
        self._resources = resources
        self._kept = kept_workloads
        self._rows: dict[int, int] = {}
        self._fine: Floats = np.empty((0, resources, 0), np.float32)
        self._coarse: Floats = np.empty((0, resources, 0), np.float32)
        self._newest = 0
        self._left: OrderedDict[int, Past] = OrderedDict()
        self._given: dict[int, Past] = {}
        self._elders: dict[int, int] = {}
        self._lags: dict[int, Integers] = {}

    def leave(self, life: int, workload: int) -> None:
        """Keep what the container ``life`` had, for the next one of ``workload``."""
        past = self._of(life)
        if past is not None:
            self._left[workload] = past
            self._left.move_to_end(workload)
        while len(self._left) > self._kept:
            self._left.popitem(last=False)

    def give(self, heir: int, elder: int | None, workload: int) -> None:
        """Give ``heir`` the past of its living ``elder``, else of the last of ``workload`` that went."""
        past = self._left.get(workload) if elder is None else self._of(elder)
        if past is not None:
            self._given[heir] = past
            self._lags[heir] = np.zeros(self._resources, np.int64)
        if past is not None and elder is not None:
            self._elders[heir] = elder

    def fill_in(self, demand: Demand, lives: Integers, column: int) -> Demand:
        """Return ``demand`` with the columns before a newcomer's first sample filled in, as far as they are known.

        ``column`` is the absolute number of the newest one. The values are changed in place: where there is anything
        to fill in, ``prepare`` has made them its own.
        """
        self._rows = {life: row for row, life in enumerate(lives.tolist())}
        self._forget()
        first = demand.first.copy()
        for life, past in self._given.items():
            series, values = self._series(life), demand.values[self._series(life)]
            elder = self._elders.get(life)
            beside = None if elder is None else demand.values[self._series(elder)]
            scale = _scale(values, first[series], past, beside, column)
            if beside is not None:
                self._lags[life] = _behind(values, first[series], beside, scale, self._lags[life])
            scale[self._lags[life] > 0] = 1.0
            first[series] = _filled_in(values, first[series], past.scaled(scale), column, self._lags[life])
        self._remember(demand.values, first, column)
        return replace(demand, first=first)

    def _series(self, life: int) -> slice:
        return slice(self._rows[life] * self._resources, (self._rows[life] + 1) * self._resources)

    def _forget(self) -> None:
        """Forget the heirs that have gone, and which elders they had that have."""
        self._given = {life: past for life, past in self._given.items() if life in self._rows}
        self._lags = {life: lags for life, lags in self._lags.items() if life in self._rows}
        pairs = self._elders.items()
        self._elders = {life: elder for life, elder in pairs if life in self._rows and elder in self._rows}

    def _of(self, life: int) -> Past | None:
        row = self._rows.get(life)
        return None if row is None else Past(self._fine[row].copy(), self._coarse[row].copy(), self._newest)

    def _remember(self, values: Floats, first: Integers, column: int) -> None:
        width = values.shape[1]
        start = max(width - FINE, 0)
        shape, begin = (len(self._rows), self._resources), start % COARSE
        fine = np.where(np.arange(start, width) >= first[:, None], values[:, start:], np.float32(np.nan))
        blocks = values[:, begin:start].reshape(len(values), start // COARSE, COARSE)
        known = np.arange(begin, start, COARSE) >= first[:, None]
        coarse = np.where(known, blocks.mean(axis=2), np.float32(np.nan))
        self._fine = fine.reshape(*shape, width - start)
        self._coarse = coarse.reshape(*shape, start // COARSE)
        self._newest = column


def _behind(values: Floats, first: Integers, elder: Floats, scale: Floats, before: Integers) -> Integers:
    """Return [resources], by how many columns ``values`` [resources, time] run behind those of the living ``elder``.

    A lag must explain them much better than the elder's load of that time, at its level or ``scale`` times it.
    While a newcomer has few columns of its own, that is told from all of them; then what was told ``before`` stands.
    """
    lags, width = before.copy(), values.shape[1]
    lived = width - first
    for row in np.flatnonzero((lived >= _TELLING) & (lived <= min(_LATEST // 2, width - _LATEST))):
        count = int(lived[row])
        shifted = np.lib.stride_tricks.sliding_window_view(elder[row, width - count - _LATEST :], count)[::-1]
        own = values[row, width - count :]
        apart = np.abs(shifted - own).mean(axis=1)
        without = min(apart[0], np.abs(scale[row] * shifted[0] - own).mean())
        best = int(apart.argmin())
        lags[row] = best if apart[best] < _CONVINCING * without else 0
    return lags


def _filled_in(values: Floats, first: Integers, past: Past, column: int, lags: Integers) -> Integers:
    """Fill in ``values`` [resources, time] before ``first``, ``lags`` later than they were; return what is first now.

    Where a lag leads back beyond what is known, the oldest value stands.
    """
    before = past.values
    width, length = values.shape[1], before.shape[1]
    at = np.arange(width) + length - width + column - past.newest - lags[:, None]
    there = (at >= -lags[:, None]) & (at < length) & (np.arange(width) < first[:, None]) & (first < width)[:, None]
    told = np.where(there, np.take_along_axis(before, np.clip(at, 0, length - 1), axis=1), np.nan)
    known = ~np.isnan(told)
    if known.any():
        values[known] = told[known]
    return np.where(known.any(axis=1), known.argmax(axis=1), first)


def _scale(values: Floats, first: Integers, past: Past, beside: Floats | None, column: int) -> Floats:
    """Return [resources], the newcomer's first level over its elder's; 1 where they hardly differ or are apart.

    The elder's is that of the same columns where it lives ``beside`` [resources, time] the newcomer, else its last.
    """
    width, at = values.shape[1], np.arange(values.shape[1])
    own = np.clip(width - first, 1, _LEVEL)
    mine = (at >= first[:, None]) & (at < (first + own)[:, None])
    level = np.where(mine, values, 0.0).sum(axis=1) / own
    last = past.fine[:, -_LEVEL:].mean(axis=1)
    before = last if beside is None else np.where(mine, beside, 0.0).sum(axis=1) / own
    near = column - width + 1 + first - past.newest <= _RECENT
    comparable = near & (level > 0) & (before > 0)
    ratio = np.log(np.where(comparable, level, 1.0) / np.where(comparable, before, 1.0))
    differs = np.abs(ratio) > np.maximum(_SAME / np.sqrt(own), 2 * past.unrest())
    bound = np.log(_LARGEST_SCALE)
    return np.asarray(np.exp(np.where(differs, np.clip(ratio, -bound, bound), 0.0)), np.float32)
