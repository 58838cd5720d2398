"""What the child learns from: what was known at a column and what came of it, of some series of each column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.learning import Past
from exporter.history.windows import Bools, Floats, Integers
from exporter.persist.arrays import Arrays, MismatchError, fitting

Bytes = NDArray[np.int8]

CAPACITY = 50_000
"""Samples of one horizon."""
_DAYS = 8
"""What is kept is this old on average where there are many series."""
_EAGER = 64
"""Series that are taken of each column until there are samples enough."""
_OUTLIER = 1000.0
"""Changes over the usual one are cut here."""


@dataclass(frozen=True)
class Known:
    """Samples whose change is known."""

    inputs: Bytes
    """[samples, features]"""
    targets: Floats
    """[samples], the change in units of the mean change at its time"""
    weights: Floats
    """[samples], what that unit was against the usual one: errors count by their size"""


@dataclass
class _Waiting:
    """Samples of one column until their change is known."""

    column: int
    series: Integers
    """[samples], -1 for a series that has gone"""
    inputs: Bytes
    """[samples, features]"""
    unit: Floats
    """[samples]"""
    value: Floats
    """[samples], at the column"""
    weight: Floats
    """[samples]"""


class Samples:
    """A reservoir for one horizon of ``ahead`` columns; the newest push out others by chance."""

    def __init__(self, ahead: int, features: int, day: int) -> None:
        self._ahead = ahead
        self._steady = max(round(CAPACITY / (_DAYS * day)), 1)
        self._waiting: list[_Waiting] = []
        self._random = np.random.default_rng(ahead)
        self._count = 0
        self._inputs = np.zeros((CAPACITY, features), np.int8)
        self._targets, self._weights = np.zeros((2, CAPACITY), np.float32)

    @property
    def known(self) -> Known:
        """What there is now; the arrays are the reservoir's own."""
        return Known(self._inputs[: self._count], self._targets[: self._count], self._weights[: self._count])

    def draw(self, column: int, inputs: Floats, unit: Floats, usual: Floats, value: Floats) -> None:
        """Take some of the series that move; ``usual`` [series] is the mean change of a longer time than ``unit``."""
        moving = np.flatnonzero((unit > 0) & np.isfinite(value) & np.isfinite(unit))
        number = min(_EAGER if self._count < CAPACITY else self._steady, len(moving))
        taken = self._random.choice(moving, number, replace=False) if number < len(moving) else moving
        weight = np.clip(unit[taken] / np.maximum(usual[taken], unit[taken] / 20), 0.02, 20.0)
        self._waiting = [held for held in self._waiting if held.column < column]
        told = np.rint(inputs[taken]).astype(np.int8)
        self._waiting.append(_Waiting(column, taken, told, unit[taken], value[taken], weight.astype(np.float32)))

    def learn(self, past: Past) -> None:
        """Keep what fell due at the last column of ``past``, where it was measured."""
        origin = past.column - self._ahead
        while self._waiting and self._waiting[0].column <= origin:
            due = self._waiting.pop(0)
            if due.column == origin:
                self._keep(due, past.values[:, -1], past.measured)

    def _keep(self, due: _Waiting, values: Floats, measured: Bools) -> None:
        there = due.series >= 0
        known = there.copy()
        known[there] = measured[due.series[there]] & np.isfinite(values[due.series[there]])
        series, inputs = due.series[known], due.inputs[known]
        change = np.clip((values[series] - due.value[known]) / due.unit[known], -_OUTLIER, _OUTLIER)
        more = min(len(change), CAPACITY - self._count)
        others = self._random.integers(0, CAPACITY, len(change) - more)
        place = np.append(np.arange(self._count, self._count + more), others)
        self._inputs[place], self._targets[place], self._weights[place] = inputs, change, due.weight[known]
        self._count += more

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; what is not due yet is left out."""
        return dict(vars(self.known))

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        count = min(len(arrays.get("targets", ())), CAPACITY)
        for name, held in (("inputs", self._inputs), ("targets", self._targets), ("weights", self._weights)):
            held[:count] = fitting(arrays, name, held, count)
        if not (np.isfinite(self._targets[:count]).all() and np.isfinite(self._weights[:count]).all()):
            raise MismatchError("samples are not finite")
        self._count = count

    def gather(self, series: Integers) -> None:
        """Follow the series to their new rows: ``series`` [rows] holds where each was, -1 for a new one."""
        moved = np.full(int(series.max(initial=-1)) + 2, -1, np.int64)
        moved[series[series >= 0]] = np.flatnonzero(series >= 0)
        for waiting in self._waiting:
            waiting.series = moved[np.minimum(waiting.series, len(moved) - 1)]
