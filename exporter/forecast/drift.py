"""Which series no longer keep their habit: their forecast errs clearly more than it did, or they stay far under it.

The first is a one-sided Page-Hinkley test (Page, Biometrika 1954; Hinkley, Biometrika 1971) for all series at once, on
how many times its usual size the served median's error is. Errors are averaged over the shortest horizon before they
are tested, since forecasts that overlap err together. Where a series moves more than usual its error counts only for
what it grew against last value's: a livelier time of day is no new habit, and no model could do better.

A series is given out only once the change lies two longest horizons back: what is learned sooner is the change itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.demand import Demand
from exporter.history.windows import Bools, Floats, Integers
from exporter.persist.arrays import Arrays, fitting

UNDER_COLUMNS = 10
"""Columns in a row under ``UNDER`` of what was forecast for them, over every horizon, that are a signal."""
UNDER = 0.75
_ROOM = 0.5
"""By how much of the usual change use must lie under the forecast for that, so that noise is no signal."""
_ALLOWANCE = 0.5
"""How far over its usual size the error may stay for good, as a share of it."""
_ALARM = 12.0
"""Excess over usual and allowance, summed over batches, at which a series has drifted."""
_MOST_EXCESS = 24.0
_LARGEST = 4.0
"""A batch counts for at most this many times the usual error, so that no burst alone makes an alarm."""
_YOUNG = 24
"""Batches from which the usual error is known well enough to test against."""
_MEMORY = 288
"""Batches over which it is averaged."""
_TRIES = 2
"""Retrainings after which an error that stays is the usual one."""
_FLOOR = 1e-3
"""Errors under this share of the value are nothing."""
_SMALLEST = 1e-20
_BATCH = ("error", "change", "size")
_FIELDS = (*_BATCH, "usual_error", "usual_change", "batches", "excess", "since", "under", "tries", "drifted", "unused")


class Drift:
    """Arrays with a row per container; ``arrange`` moves them as ``Engine.arrange`` moves its own."""

    def __init__(self, resources: int, ahead: Sequence[int]) -> None:
        self._resources = resources
        self._ahead = tuple(ahead)
        self._held = {name: np.zeros((0, resources), np.float32) for name in _FIELDS}

    def arrange(self, rows: Integers) -> None:
        """Keep the containers ``rows`` in this order; -1 stands for a new one."""
        blank = np.zeros((1, self._resources), np.float32)
        self._held = {name: np.concatenate([array, blank])[rows] for name, array in self._held.items()}

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return dict(self._held)

    def restore(self, arrays: Arrays, containers: int) -> None:
        """Take back what was saved of so many ``containers``; raise MismatchError."""
        self._held = {name: fitting(arrays, name, array, containers) for name, array in self._held.items()}

    def observe(self, due: Floats, demand: Demand, now: int) -> None:
        """Compare ``due`` [series, horizons], the medians forecast for column ``now`` of ``demand``, with what came."""
        value, measured = demand.values[:, now], demand.measured[:, now - demand.values.shape[1]]
        judged = measured & ~np.isnan(due).any(axis=1)
        before = demand.values[:, [max(now - ahead, 0) for ahead in self._ahead]]
        self._add("error", np.abs(value[:, None] - due).mean(axis=1), judged)
        self._add("change", np.abs(value[:, None] - before).mean(axis=1), judged)
        self._add("size", np.ones_like(value), judged)
        self._watch_use(value, due.min(axis=1), judged)
        full = np.flatnonzero(self._flat("size") >= min(self._ahead))
        if full.size:
            self._test(full, np.abs(value[full]))
        since = self._flat("since")
        since[:] = np.where((self._flat("excess") > 0) | (self._flat("unused") > 0), since + 1, 0)

    def drifted(self) -> Integers:
        """Return the series whose forecast has erred too much for long enough to learn from."""
        return np.flatnonzero((self._flat("drifted") > 0) & self._settled())

    def unused(self) -> Integers:
        """Return the series whose use stayed far under the forecast, as long ago."""
        return np.flatnonzero((self._flat("unused") > 0) & self._settled())

    def since(self, series: Integers) -> Integers:
        """Return how many columns ago the habit of each of ``series`` changed."""
        return self._flat("since")[series].astype(np.int64)

    def settle(self, series: Integers) -> None:
        """Test ``series`` from here on; the second time in a row, against what they err from here on."""
        for name in ("excess", "drifted", "unused", "since", "under"):
            self._flat(name)[series] = 0
        tries = self._flat("tries")
        tries[series] += 1
        anew = series[tries[series] >= _TRIES]
        for name in ("batches", "tries"):
            self._flat(name)[anew] = 0

    def _settled(self) -> Bools:
        return self._flat("since") >= 2 * max(self._ahead)

    def _flat(self, name: str) -> Floats:
        return self._held[name].reshape(-1)

    def _add(self, name: str, amount: Floats, judged: Bools) -> None:
        self._flat(name)[:] += np.where(judged, amount, 0)

    def _watch_use(self, value: Floats, least: Floats, judged: Bools) -> None:
        under, room = self._flat("under"), _ROOM * self._flat("usual_change")
        far = judged & (value < UNDER * least) & (least - value > room)
        under[:] = np.where(judged, np.where(far, under + 1, 0), under)
        self._flat("unused")[under >= UNDER_COLUMNS] = 1

    def _test(self, full: Integers, level: Floats) -> None:
        """Take in the batches of the series ``full``, whose values are of the size ``level``."""
        floor, batches = _FLOOR * level + _SMALLEST, self._flat("batches")[full]
        error, change = (self._flat(name)[full] / self._flat("size")[full] for name in ("error", "change"))
        usual_error, usual_change = self._flat("usual_error")[full], self._flat("usual_change")[full]
        times, livelier = (error + floor) / (usual_error + floor), (change + floor) / (usual_change + floor)
        more = np.minimum(times / np.maximum(livelier, 1), _LARGEST) - 1 - _ALLOWANCE
        excess = np.clip(self._flat("excess")[full] + more, 0, _MOST_EXCESS)
        excess = np.where(batches >= _YOUNG, excess, 0)
        rate = 1 / np.minimum(batches + 1, _MEMORY)
        self._flat("excess")[full] = excess
        self._flat("drifted")[full] = (excess >= _ALARM) & (more > 0)
        self._flat("usual_error")[full] = usual_error + rate * (error - usual_error)
        self._flat("usual_change")[full] = usual_change + rate * (change - usual_change)
        self._flat("batches")[full] = batches + 1
        for name in _BATCH:
            self._flat(name)[full] = 0
