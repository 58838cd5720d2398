"""Leaks of any pace: the fast ones from the last hour's window, the slow ones from two days."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess import growth, leak
from exporter.assess.leak import WARM_UP, Leak
from exporter.assess.robust import Numbers, columns, hide_youth
from exporter.assess.trail import Trail
from exporter.history.signals import COLUMN
from exporter.history.windows import Floats, Integers, Window
from exporter.persist.arrays import Arrays

DAY = 86400.0
NEAR = 0.85
"""Of the limit: a mean of five minutes that high may hide a leak that was killed and restarted in place."""


@dataclass(frozen=True)
class _Judged:
    """The slow leaks, worked out anew only where a slot has ended or a container or limit is another."""

    at: float
    lives: Integers
    limit: Floats
    found: Leak
    earlier: Numbers
    """The highest use known from before the last hour; minus infinity where it is no comfort."""

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
        slow, earlier = self._slow(window)
        fast = leak.find(window, earlier)
        slower = slow.score >= np.maximum(fast.score, 0.5)
        return Leak(
            np.maximum(fast.score, slow.score),
            np.where(slower, slow.rate, fast.rate),
            np.where(slower, slow.exhaustion, fast.exhaustion),
            np.where(slower, slow.since, fast.since),
        )

    def _slow(self, window: Window) -> tuple[Leak, Numbers]:
        memory = window.signals[:, COLUMN["memory"], :]
        memory = hide_youth(memory, window.started, window.end, window.step, WARM_UP)
        levels, step = self._trail.update(window.lives, memory, window.end, window.step)
        at = (window.end + window.step / 2) // step * step
        if self._judged is None or not self._judged.holds(at, window):
            slow = _judge(levels, window.memory_limit, step, at)
            self._judged = _Judged(
                at, window.lives, window.memory_limit, slow, _highest(levels, window.memory_limit, step)
            )
        found = self._judged.found
        left = np.maximum(found.exhaustion - (window.end - at), 0.0)
        return Leak(found.score, found.rate, left, found.since), self._judged.earlier


def _highest(levels: Numbers, limit: Floats, step: float) -> Numbers:
    earlier = levels[:, : -columns(leak.LONGEST, step)]
    highest = np.where(np.isfinite(earlier), earlier, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(highest >= NEAR * limit, -np.inf, highest)


def _judge(levels: Numbers, limit: Floats, step: float, at: float) -> Leak:
    found = growth.judge(levels, limit, DAY / step)
    score = np.minimum(found.score, leak.size(found.rate * found.lasted, limit))
    # The newest column is the mean of a slot: its middle is half a slot ago.
    left = np.maximum(found.left - 0.5, 0.0) * step
    in_sight = (score >= 0.5) & np.isfinite(limit) & np.isfinite(left)
    return Leak(score, found.rate / step, np.where(in_sight, left, np.nan), at - found.lasted * step)
