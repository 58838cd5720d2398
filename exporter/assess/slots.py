"""Rows of learned arrays for things that come and go: bounded, the one unseen for longest gives way."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Bools, Integers
from exporter.persist.arrays import Arrays, MismatchError, numbers


class Slots:
    """Gives each key a row number and keeps it; past ``size`` keys, only keys seen now add rows."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._row: dict[int, int] = {}

    def place(self, keys: Integers) -> tuple[Integers, Integers]:
        """Return the row of each key, and the rows that are new or changed hands and must be cleared."""
        present = dict.fromkeys(keys.tolist())
        fresh: list[int] = []
        for key in present:
            row = self._row.pop(key, None)
            if row is None:
                row = self._claim(present)
                fresh.append(row)
            self._row[key] = row  # put last: the dictionary is in order of last sight
        rows = np.fromiter((self._row[key] for key in keys.tolist()), dtype=np.int64, count=len(keys))
        return rows, np.array(fresh, dtype=np.int64)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved: the keys, the one unseen for longest first, and their rows."""
        return {
            "keys": np.array(list(self._row), dtype=np.int64),
            "rows": np.array(list(self._row.values()), dtype=np.int64),
        }

    def restore(self, arrays: Arrays, rows: int) -> None:
        """Take back what was saved for arrays of so many ``rows``; raise MismatchError."""
        keys = numbers(arrays, "keys")
        taken = numbers(arrays, "rows", len(keys))
        if len(set(taken)) < len(taken) or any(not 0 <= row < rows for row in taken):
            raise MismatchError("rows are taken twice or beyond the end")
        self._row = dict(zip(keys, taken, strict=True))

    def _claim(self, present: dict[int, None]) -> int:
        oldest = next(iter(self._row), None)
        if len(self._row) < self._size or oldest is None or oldest in present:
            return len(self._row)
        return self._row.pop(oldest)


def make_room(table: object, names: Iterable[str], rows: int, fresh: Integers, width: int | None = None) -> None:
    """Fit the arrays ``names`` of ``table`` to ``rows`` rows and ``width`` columns, and forget what ``fresh`` held."""
    for name in names:
        array = fitted(getattr(table, name), rows, width)
        array[fresh] = 0
        setattr(table, name, array)


def fitted(array: NDArray[np.generic], rows: int, width: int | None = None) -> NDArray[np.generic]:
    """Return ``array`` with at least ``rows`` rows (doubling) and ``width`` columns, new places zero."""
    shape = list(array.shape)
    if shape[0] < rows:
        shape[0] = max(rows, 2 * shape[0])
    if width is not None:
        shape[1] = max(shape[1], width)
    if tuple(shape) == array.shape:
        return array
    return np.pad(array, [(0, new - old) for new, old in zip(shape, array.shape, strict=True)])


def groups(rows: Integers, chosen: Bools) -> tuple[Integers, Integers, Integers]:
    """Return the distinct rows among the chosen, where each one's run starts, and the order that makes the runs."""
    candidates = np.flatnonzero(chosen)
    order = candidates[np.argsort(rows[candidates], kind="stable")]
    distinct, starts = np.unique(rows[order], return_index=True)
    return distinct, starts, order
