"""The recent past that a fresh replica has from its elder, until it has lived through as much itself.

Models look back over a day, and along short rhythms. What a fresh container cannot know of that is filled in from
what its elder leaves it, at the newcomer's own level.
"""

from collections import OrderedDict
from dataclasses import replace

import numpy as np

from exporter.forecast import alignment
from exporter.forecast.bequest import COARSE, FINE, Bequest, filled_in
from exporter.forecast.demand import Demand
from exporter.history.windows import Floats, Integers

_BLOCK = 64
"""Series of which is noted at a time what they would leave."""


class Heritage:
    """Remembers what each container would leave, and gives it to those that come after."""

    def __init__(self, resources: int, kept_workloads: int) -> None:
        self._resources = resources
        self._kept = kept_workloads
        self._rows: dict[int, int] = {}
        self._fine: Floats = np.empty((0, resources, 0), np.float32)
        self._coarse: Floats = np.empty((0, resources, 0), np.float32)
        self._newest = 0
        self._left: OrderedDict[int, Bequest] = OrderedDict()
        self._given: dict[int, Bequest] = {}
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

    def receive(self, workload: int, demand: Demand, column: int) -> None:
        """Keep what a container of ``workload`` had elsewhere, whose ``demand`` has ``column`` as its newest."""
        elsewhere = Heritage(self._resources, 1)
        elsewhere.fill_in(demand, np.zeros(1, np.int64), column)
        elsewhere.leave(0, workload)
        self._left |= elsewhere._left
        self._left.move_to_end(workload)

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
        to fill in, they have been mended already.
        """
        self._rows = {life: row for row, life in enumerate(lives.tolist())}
        self._forget()
        first = demand.first.copy()
        for life, past in self._given.items():
            series, values = self._series(life), demand.values[self._series(life)]
            elder = self._elders.get(life)
            beside = None if elder is None else demand.values[self._series(elder)]
            scale = alignment.relative_level(values, first[series], past, beside, column)
            if beside is not None:
                self._lags[life] = alignment.behind(values, first[series], beside, scale, self._lags[life])
            scale[self._lags[life] > 0] = 1.0
            first[series] = filled_in(values, first[series], past.scaled(scale), column, self._lags[life])
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

    def _of(self, life: int) -> Bequest | None:
        row = self._rows.get(life)
        return None if row is None else Bequest(self._fine[row].copy(), self._coarse[row].copy(), self._newest)

    def _remember(self, values: Floats, first: Integers, column: int) -> None:
        width = values.shape[1]
        start = max(width - FINE, 0)
        begin, count = start % COARSE, len(self._rows) * self._resources
        fine, coarse = _room(self._fine, count, width - start), _room(self._coarse, count, start // COARSE)
        for at in range(0, count, _BLOCK):
            block = slice(at, at + _BLOCK)
            since, older = first[block, None], values[block, begin:start]
            fine[block] = np.where(np.arange(start, width) >= since, values[block, start:], np.float32(np.nan))
            means = older.reshape(len(older), start // COARSE, COARSE).mean(axis=2)
            coarse[block] = np.where(np.arange(begin, start, COARSE) >= since, means, np.float32(np.nan))
        shape = len(self._rows), self._resources
        self._fine, self._coarse = (part.reshape(*shape, part.shape[1]) for part in (fine, coarse))
        self._newest = column


def _room(held: Floats, rows: int, columns: int) -> Floats:
    """Return ``held`` as [rows, columns] to be written anew, or a new array where it does not fit."""
    fits = held.size == rows * columns
    return held.reshape(rows, columns) if fits else np.empty((rows, columns), np.float32)
