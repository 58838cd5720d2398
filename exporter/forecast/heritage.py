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

    def fill_in(self, demand: Demand, lives: Integers, column: int) -> Demand:
        """Return ``demand`` with the columns before a newcomer's first sample filled in, as far as they are known.

        ``column`` is the absolute number of the newest one. The values are changed in place: where there is anything
        to fill in, ``prepare`` has made them its own.
        """
        self._given = {life: self._given[life] for life in lives.tolist() if life in self._given}
        self._rows = {life: row for row, life in enumerate(lives.tolist())}
        first = demand.first.copy()
        for life, past in self._given.items():
            series = slice(self._rows[life] * self._resources, (self._rows[life] + 1) * self._resources)
            first[series] = _filled_in(demand.values[series], first[series], past, column)
        self._remember(demand.values, first, column)
        return replace(demand, first=first)

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


def _filled_in(values: Floats, first: Integers, past: Past, column: int) -> Integers:
    """Fill in ``values`` [resources, time] before ``first``; return the first column that is known now."""
    before = past.values
    width, length = values.shape[1], before.shape[1]
    at = np.arange(width) + length - width + column - past.newest
    there = (at >= 0) & (at < length) & (np.arange(width) < first[:, None]) & (first < width)[:, None]
    told = np.where(there, before[:, np.clip(at, 0, length - 1)], np.nan)
    known = ~np.isnan(told)
    if known.any():
        scaled = told * _scale(values, first, past, column)[:, None]
        values[known] = scaled[known]
    return np.where(known.any(axis=1), known.argmax(axis=1), first)


def _scale(values: Floats, first: Integers, past: Past, column: int) -> Floats:
    """Return [resources], the newcomer's first level over its elder's last; 1 where they hardly differ or are apart."""
    width, at = values.shape[1], np.arange(values.shape[1])
    own = np.clip(width - first, 1, _LEVEL)
    mine = (at >= first[:, None]) & (at < (first + own)[:, None])
    level = np.where(mine, values, 0.0).sum(axis=1) / own
    before = past.fine[:, -_LEVEL:].mean(axis=1)
    near = column - width + 1 + first - past.newest <= _RECENT
    comparable = near & (level > 0) & (before > 0)
    ratio = np.log(np.where(comparable, level, 1.0) / np.where(comparable, before, 1.0))
    differs = np.abs(ratio) > np.maximum(_SAME / np.sqrt(own), 2 * past.unrest())
    bound = np.log(_LARGEST_SCALE)
    return np.asarray(np.exp(np.where(differs, np.clip(ratio, -bound, bound), 0.0)), np.float32)
