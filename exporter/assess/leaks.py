"""Leaks of any pace: the fast ones from the last hour's window, the slow ones from two days."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess import growth, leak
from exporter.assess.leak import WARM_UP, Leak
from exporter.assess.robust import Numbers, hide_youth
from exporter.assess.trail import Trail
from exporter.history.signals import COLUMN
from exporter.history.windows import Floats, Integers, Window
from exporter.persist.arrays import Arrays


@dataclass(frozen=True)
class _Judged:
    """The slow leaks, worked out anew only where a slot has ended or a container or limit is another."""

    at: float
    lives: Integers
    limit: Floats
    found: Leak

    def holds(self, at: float, window: Window) -> bool:
        same = np.array_equal(self.lives, window.lives)
        return same and self.at == at and np.array_equal(self.limit, window.memory_limit, equal_nan=True)


@dataclass
class Leaks:
    """Follows the memory of each life; where both paces see a leak, the slow one says how much is left."""

    _trail: Trail = field(default_factory=Trail)
    _judged: _Judged | None = None

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return self._trail.export()

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved, for windows of the same lives; raise MismatchError."""
        self._trail.restore(arrays)
        self._judged = None

    def find(self, window: Window) -> Leak:
        """Return the belief in a leak per container; each call also remembers the time since the one before."""
        fast, slow = leak.find(window), self._slow(window)
        slower = slow.score >= np.maximum(fast.score, 0.5)
        return Leak(
            np.maximum(fast.score, slow.score),
            np.where(slower, slow.rate, fast.rate),
            np.where(slower, slow.exhaustion, fast.exhaustion),
            np.where(slower, slow.since, fast.since),
        )

    def _slow(self, window: Window) -> Leak:
        memory = window.signals[:, COLUMN["memory"], :]
        memory = hide_youth(memory, window.started, window.end, window.step, WARM_UP)
        levels, step = self._trail.update(window.lives, memory, window.end, window.step)
        at = (window.end + window.step / 2) // step * step
        if self._judged is None or not self._judged.holds(at, window):
            self._judged = _Judged(at, window.lives, window.memory_limit, _judge(levels, window.memory_limit, step, at))
        found = self._judged.found
        return Leak(found.score, found.rate, np.maximum(found.exhaustion - (window.end - at), 0.0), found.since)


def _judge(levels: Numbers, limit: Floats, step: float, at: float) -> Leak:
    found = growth.judge(levels, limit)
    score = np.minimum(found.score, leak.size(found.rate * found.lasted, limit))
    # The newest column is the mean of a slot: its middle is half a slot ago.
    left = np.maximum(found.left - 0.5, 0.0) * step
    in_sight = (score >= 0.5) & np.isfinite(limit) & np.isfinite(left)
    return Leak(score, found.rate / step, np.where(in_sight, left, np.nan), at - found.lasted * step)
