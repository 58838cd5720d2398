"""Two days of memory use per container in few numbers: the mean of every five minutes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers, mean
from exporter.assess.slots import Slots, fitted
from exporter.history.windows import Integers
from exporter.persist.arrays import Arrays, MismatchError, fitting, numbers, under, within

SLOT = 300.0
LENGTH = 576
"""Two days: yesterday's peak must be seen, or every morning is new."""
MOST_LIVES = 512


class Trail:
    """A ring of means per life; 2.3 KiB each. Those unseen for longest give way."""

    def __init__(self) -> None:
        self._slots = Slots(MOST_LIVES)
        self._ring = np.zeros((64, LENGTH), dtype=np.float32)
        self._next: int | None = None
        """The number of the first five minutes since the epoch not yet taken in."""

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        state = {"ring": self._ring, "next": np.array([-1 if self._next is None else self._next])}
        return under("slots", self._slots.export()) | state

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        (following,) = numbers(arrays, "next", 1)
        if following < -1:
            raise MismatchError("next is no time")
        self._ring = fitting(arrays, "ring", self._ring, len(arrays.get("ring", ())))
        self._slots.restore(within("slots", arrays), len(self._ring))
        self._next = None if following == -1 else following

    def update(self, lives: Integers, values: Numbers, end: float, step: float) -> tuple[Numbers, float]:
        """Take in the newest of ``values`` [lives, time]; return [lives, LENGTH], newest last, and seconds a column.

        A life seen for the first time brings all that ``values`` hold of it.
        """
        seconds = max(SLOT, step)
        following = int((end + step / 2) // seconds)
        oldest = max(following - LENGTH, int((end - step * values.shape[1]) // seconds) + 1)
        since = oldest if self._next is None or self._next > following else self._next
        rows, fresh = self._slots.place(lives)
        self._ring = fitted(self._ring, int(rows.max(initial=-1)) + 1).astype(np.float32, copy=False)
        self._ring[fresh] = np.nan
        skipped = np.arange(max(since, following - LENGTH), following) % LENGTH
        self._ring[:, skipped] = np.nan
        new = np.isin(rows, fresh)
        for slot in range(oldest if len(fresh) else max(since, oldest), following):
            taken = np.ones(len(rows), dtype=bool) if slot >= since else new
            self._ring[rows[taken], slot % LENGTH] = _within(values[taken], slot * seconds, seconds, end, step)
        self._next = following
        return self._ring[rows][:, np.arange(following - LENGTH, following) % LENGTH], seconds


def _within(values: Numbers, begin: float, seconds: float, end: float, step: float) -> Numbers:
    times = end - step * np.arange(values.shape[1] - 1, -1, -1)
    return mean(values[:, (times >= begin) & (times < begin + seconds)])
