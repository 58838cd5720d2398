"""How rare a score is: its own past, continued by an exponential tail, as alarms a container-month."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers
from exporter.assess.slots import fitted
from exporter.history.windows import Integers
from exporter.persist.arrays import Arrays, fitting

MONTH = 30 * 86_400.0
BINS, LOWEST, WIDTH = 128, -6.0, 0.125
"""Scores are counted by their binary logarithm, in bins of an eighth of an octave."""
TAIL = 0.02
"""Part of the scores that the tail is fitted to."""
BELIEVED, BELIEF = 5.0, 0.25
"""What is believed of a tail before any of it was seen: so many scores, of that mean excess in octaves."""
LEAST = 60.0
"""Scores needed before any can be called rare."""
EDGES = LOWEST + WIDTH * np.arange(BINS)


@dataclass
class Tails:
    """A histogram of scores per row; each score must be judged before it is counted (out of fold)."""

    counts: Numbers = field(default_factory=lambda: np.zeros((64, BINS), dtype=np.float32))

    def prepare(self, rows: int, fresh: Integers) -> None:
        """Make room, and forget what rows that changed hands held."""
        self.counts = np.asarray(fitted(self.counts, rows), dtype=np.float32)
        self.counts[fresh] = 0

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return {"counts": self.counts}

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        self.counts = fitting(arrays, "counts", self.counts, len(arrays.get("counts", ())))

    def rate(self, rows: Integers, scores: Numbers, step: float) -> Numbers:
        """Return how many scores as high as each a month of such ``step``s brings; infinite where unknown.

        Peaks over a threshold with an exponential tail (Siffer et al., SPOT, 2017, with shape 0) of the logarithm.
        """
        counts = self.counts[rows].astype(np.float64)
        total = counts.sum(axis=1)
        above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
        # The lowest edge with no more than the tail's part at or over it; the last one always qualifies.
        start = np.argmax(above <= TAIL * total[:, None], axis=1)
        each = np.arange(len(rows))
        beyond = above[each, start]
        excess = np.maximum(EDGES + WIDTH / 2 - EDGES[start][:, None], 0)
        mean = ((counts * excess).sum(axis=1) + BELIEVED * BELIEF) / (beyond + BELIEVED)
        levels = np.log2(np.maximum(scores, 2.0**LOWEST))
        known = (np.maximum(beyond, 0.5)) / np.maximum(total, 1) * np.exp(-(levels - EDGES[start]) / mean)
        inside = above[each, _bins(levels)] / np.maximum(total, 1)
        share = np.where(levels > EDGES[start], known, inside)
        return np.where(total >= LEAST, share * MONTH / step, np.inf)

    def count(self, rows: Integers, scores: Numbers, weights: Numbers, most: float) -> None:
        """Count ``scores`` of distinct or equal ``rows``; what is older than ``most`` scores fades."""
        seen = np.unique(rows)
        self.counts[seen] *= np.minimum(most / np.maximum(self.counts[seen].sum(axis=1), 1), 1)[:, None]
        levels = np.log2(np.maximum(scores, 2.0**LOWEST))
        np.add.at(self.counts, (rows, _bins(levels)), weights)


def _bins(levels: Numbers) -> Integers:
    bins: Integers = np.clip((levels - LOWEST) / WIDTH, 0, BINS - 1).astype(np.int64)
    return bins
