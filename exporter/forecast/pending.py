"""Forecasts that wait for the moment they speak of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Floats, Integers
from exporter.persist.arrays import Arrays, fitting


class Pending:
    """For one horizon, the forecasts of its last columns: a ring of [time, series, items], by origin."""

    def __init__(self, ahead: int, series: int, items: int) -> None:
        self._ahead = ahead
        self._ring = np.full((ahead, series, items), np.nan, np.float32)
        self._origin = np.full(ahead, -1, np.int64)

    def due(self, column: int) -> Floats:
        """Return [series, items] that was forecast for ``column``; NaN where nothing was."""
        slot = column % self._ahead
        if self._origin[slot] != column - self._ahead:
            return np.full(self._ring.shape[1:], np.nan, np.float32)
        return np.asarray(self._ring[slot])

    def push(self, column: int, items: Floats) -> None:
        """Remember ``items`` [series, items], made at ``column``."""
        slot = column % self._ahead
        self._ring[slot] = items
        self._origin[slot] = column

    def gather(self, rows: Integers) -> None:
        """Keep the series ``rows``, in this order; -1 stands for a new one."""
        kept = self._ring if self._ring.shape[1] else np.empty((self._ahead, 1, self._ring.shape[2]), np.float32)
        self._ring = kept[:, np.maximum(rows, 0)]
        self._ring[:, rows < 0] = np.nan

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return {"ring": self._ring, "origin": self._origin}

    def restore(self, arrays: Arrays, series: int) -> None:
        """Take back what was saved of so many ``series``; raise MismatchError."""
        self._ring = fitting(arrays, "ring", self._ring, series, axis=1)
        self._origin = fitting(arrays, "origin", self._origin)
