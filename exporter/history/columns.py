"""Rings of columns: the last T values of many rows as one array, read without copying."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Floats


class Columns:
    """The last ``length`` columns of rows × signals, oldest first, contiguous in time.

    Columns are written into a buffer a little longer than the window; when it is full, the window moves back to the
    front. So a view costs nothing, and a write costs one copy of the window every ``length / 32`` columns.
    Rows are dense: ``remove`` fills the hole with the last row.
    """

    def __init__(self, signals: int, length: int, rows: int = 16, kind: type[np.floating] = np.float32) -> None:
        self._length = length
        self._width = length + max(8, length // 32)
        self._buffer: NDArray[Any] = np.full((rows, signals, self._width), np.nan, kind)
        self._end = length

    def grow(self, rows: int) -> None:
        """Make room for ``rows`` rows and some more, so that growth stays cheap."""
        have = len(self._buffer)
        if rows > have:
            bigger = np.full_like(self._buffer, np.nan, shape=(rows + have // 8, *self._buffer.shape[1:]))
            bigger[:have] = self._buffer
            self._buffer = bigger

    def remove(self, row: int, last: int) -> None:
        """Forget ``row``; the row ``last`` takes its place."""
        self._buffer[row] = self._buffer[last]
        self._buffer[last] = np.nan

    def advance(self, columns: int = 1) -> None:
        """Begin ``columns`` new columns, empty until written."""
        for _ in range(min(columns, self._length)):
            if self._end == self._width:
                for row in self._buffer:  # all at once would be copied twice
                    row[:, : self._length] = row[:, self._width - self._length :]
                self._end = self._length
            self._buffer[:, :, self._end] = np.nan
            self._end += 1

    def write(self, values: NDArray[np.floating]) -> None:
        """Write ``values`` [rows, signals] into the newest column."""
        self._buffer[: len(values), :, self._end - 1] = values

    def forget(self, which: NDArray[np.bool_]) -> None:
        """Empty the past of the signals ``which`` [rows, signals]."""
        self._buffer[: len(which)][which] = np.nan

    def view(self, rows: int) -> Floats:
        """Return the first ``rows`` rows as [rows, signals, length], newest last; valid until the next write.

        They are float32 unless made as another kind.
        """
        return self._buffer[:rows, :, self._end - self._length : self._end]

    def restore(self, past: Floats) -> None:
        """Take ``past`` [rows, signals, length], newest last, for what was written so far."""
        self.grow(len(past))
        self._buffer[: len(past), :, self._end - self._length : self._end] = past
