"""Since when a score has been high, short rests aside."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers
from exporter.assess.slots import Slots, make_room
from exporter.history.windows import Bools, Integers
from exporter.persist.arrays import Arrays, fitting, under, within

MOST_LIVES: Final = 2048
REST: Final = 300.0
"""Seconds after which a score that is high again counts as newly high."""


class Since:
    """A row per life."""

    def __init__(self) -> None:
        self._slots = Slots(MOST_LIVES)
        self._begun: Numbers = np.zeros(64)
        self._last: Numbers = np.zeros(64)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return under("slots", self._slots.export()) | {"begun": self._begun, "last": self._last}

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        self._begun = fitting(arrays, "begun", self._begun, len(arrays.get("begun", ())))
        self._last = fitting(arrays, "last", self._last, len(self._begun))
        self._slots.restore(within("slots", arrays), len(self._begun))

    def observe(self, lives: Integers, high: Bools, at: float) -> Numbers:
        """Return [containers], since when each one's score has been high; of no meaning where it is not."""
        rows, fresh = self._slots.place(lives)
        count = int(rows.max(initial=-1)) + 1
        make_room(self, ("_begun", "_last"), count, fresh)
        anew = high & (at - self._last[rows] > REST)
        self._begun[rows] = np.where(anew, at, self._begun[rows])
        self._last[rows] = np.where(high, at, self._last[rows])
        since: Numbers = self._begun[rows]
        return since
