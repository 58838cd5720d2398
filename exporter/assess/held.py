"""Evidence that is held for some minutes and then fades, since an intruder's call may last a millisecond."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers
from exporter.assess.slots import make_room
from exporter.history.windows import Integers
from exporter.persist.arrays import Arrays, fitting

FADE = 7 / 3
"""Times that evidence takes to fade, in times that it is held."""


class Held:
    """A row per life, a column per kind of evidence; new columns come at the end."""

    def __init__(self, hold: float) -> None:
        """Hold for so many seconds at full strength."""
        self._hold, self._fade = hold, FADE * hold
        self.strength: Numbers = np.zeros((64, 0), dtype=np.float32)
        self.left: Numbers = np.zeros((64, 0), dtype=np.float32)
        """Seconds until it is gone."""

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return {"strength": self.strength, "left": self.left}

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        like = np.empty(arrays["left"].shape[:2] if "left" in arrays else (0, 0), np.float32)
        self.strength, self.left = fitting(arrays, "strength", like), fitting(arrays, "left", like)

    @property
    def rows(self) -> int:
        """Rows there is room for."""
        return len(self.left)

    def prepare(self, rows: int, columns: int, fresh: Integers) -> None:
        """Make room, and forget what rows that changed hands held."""
        make_room(self, ("strength", "left"), rows, fresh, columns)

    def take(self, rows: Integers, now: Numbers, elapsed: float) -> tuple[Numbers, Numbers]:
        """Return [rows, columns], what is left of earlier evidence, and that with what is seen ``now``, 0–1."""
        left = np.maximum(self.left[rows] - elapsed, 0)
        before = self.strength[rows] * np.minimum(left / max(self._fade, 1e-9), 1.0)
        fresh = (now > 0) & (now >= before)
        self.left[rows] = np.where(fresh, self._hold + self._fade, left)
        self.strength[rows] = np.where(fresh, now, self.strength[rows])
        return before, np.maximum(now, before)
