"""Straight lines through any stretch of many rows at once, from running sums."""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers
from exporter.history.windows import Integers


@dataclass(frozen=True)
class Line:
    """[rows] each; the newest column is position 0, older ones are negative."""

    now: Numbers
    """The line's height at the newest column."""
    slope: Numbers
    """Per column."""
    explained: Numbers
    """Share of the variance, 0–1."""


class Sums:
    """Running sums of [rows, columns] with gaps; every fit then costs the same, whatever its length."""

    def __init__(self, values: Numbers) -> None:
        known = np.isfinite(values)
        self.columns = values.shape[1]
        counts = np.maximum(known.sum(axis=1), 1)
        self._centre = np.where(known, values, 0.0).sum(axis=1, dtype=np.float64) / counts
        height = np.where(known, values - self._centre[:, None], 0.0)
        place = np.where(known, np.arange(1 - self.columns, 1), 0).astype(np.float64)
        parts = (known, place, place**2, height, height * place, height**2)
        running = np.zeros((len(parts), len(values), self.columns + 1))
        np.cumsum(parts, axis=2, dtype=np.float64, out=running[:, :, 1:])
        self._running = running

    def between(self, first: Integers, last: Integers) -> Numbers:
        """Return [count, place, place², height, height·place, height²; rows] over columns first ≤ c < last."""
        rows = np.arange(self._running.shape[1])
        found: Numbers = self._running[:, rows, last] - self._running[:, rows, first]
        return found

    def line(self, first: Integers, last: Integers) -> Line:
        """Return the least-squares line over columns first ≤ c < last."""
        count, place, place2, height, product, height2 = self.between(first, last)
        with np.errstate(invalid="ignore", divide="ignore"):
            middle, mean = place / count, height / count
            shared = product / count - middle * mean
            slope = shared / (place2 / count - middle**2)
            explained = slope * shared / (height2 / count - mean**2)
        return Line(mean - slope * middle + self._centre, slope, np.nan_to_num(explained))

    def bend_at(self, width: int, reach: int) -> Numbers:
        """Return what share of variance over the last ``reach`` columns a level and then a rise leave unexplained.

        The rise takes the last ``width`` columns. Infinite where it falls or has too few samples.
        """
        rows = self._running.shape[1]
        ends = np.full(rows, self.columns)
        start = self.columns - width
        count, _, _, height, _, height2 = self.between(np.full(rows, self.columns - reach), ends)
        samples, place, place2, level, product, _ = self.between(np.full(rows, start), ends)
        knee = start + 1 - self.columns
        run, shared = place - knee * samples, product - knee * level
        run2 = place2 - 2 * knee * place + knee**2 * samples
        with np.errstate(invalid="ignore", divide="ignore"):
            covariance = shared / count - run / count * (height / count)
            gain = covariance**2 / (run2 / count - (run / count) ** 2)
            left = 1 - gain / (height2 / count - (height / count) ** 2)
        believable = (covariance > 0) & (samples >= 0.7 * width) & np.isfinite(left)
        return np.where(believable, left, np.inf)
