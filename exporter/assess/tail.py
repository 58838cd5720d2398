"""Tails of scores: how improbable a score is, beyond what was ever seen.

Peaks over a threshold with an exponential tail (Pickands–Balkema–de Haan with shape 0): among the scores over a high
quantile, the excess falls off as exp(-excess / mean excess).
"""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers
from exporter.history.windows import Integers

FOLDS = 4
"""Stretches of the learned time, each scored by what is made of the other three."""

SHARE, LEAST = 0.1, 20
"""Part of the scores that make the tail, and how many of them at least."""


@dataclass(frozen=True)
class Tail:
    """The upper end of a score's distribution."""

    floor: float
    """Where the tail begins."""
    scale: float
    """Mean excess over it."""
    share: float
    """Part of the scores beyond the floor."""

    def excess(self, scores: Numbers) -> Numbers:
        """Return how many mean excesses the scores are over the floor."""
        return (scores - self.floor) / self.scale

    def surprisal(self, scores: Numbers) -> Numbers:
        """Return minus the logarithm of the probability of so high a score; 0 at or under the floor."""
        excess = self.excess(scores)
        return np.where(excess > 0, excess - np.log(self.share), 0.0)


def fit_tail(scores: Numbers) -> Tail:
    """Return the tail of ``scores`` [samples], of which there are at least two."""
    ordered = np.sort(scores)
    count = min(max(int(SHARE * len(ordered)), LEAST), len(ordered) - 1)
    floor = float(ordered[-count - 1])
    # Scores that are all alike have no tail; the least step that floats know keeps any other score improbable.
    scale = max(float(np.mean(ordered[-count:])) - floor, 1e-6 * max(abs(floor), 1.0))
    return Tail(floor, scale, count / len(ordered))


def stretches(steps: int) -> Integers:
    """Return [steps], the number of each one's stretch."""
    return np.asarray(np.arange(steps) * FOLDS // steps, np.int64)
