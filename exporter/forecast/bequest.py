"""What one container leaves to those that come after it: its newest columns, and means of the older ones."""

from dataclasses import dataclass, replace

import numpy as np

from exporter.history.windows import Floats, Integers

FINE = 480
"""Newest columns that a container leaves as they are: enough for short rhythms."""
COARSE = 10
"""Older columns that it leaves as one mean."""
_APART = 5
"""Columns between two values whose distance tells how restless a load is."""
_SMALLEST = 1e-20


@dataclass(frozen=True)
class Bequest:
    """What one container leaves."""

    fine: Floats
    """[resources, FINE or fewer], newest last; NaN before its first sample"""
    coarse: Floats
    """[resources, means], what was before those"""
    newest: int
    """Absolute number of the last column."""

    @property
    def values(self) -> Floats:
        """[resources, columns], newest last."""
        return np.concatenate([np.repeat(self.coarse, COARSE, axis=1), self.fine], axis=1)

    def scaled(self, scale: Floats) -> "Bequest":
        """Return it at another level, ``scale`` [resources] times its own."""
        return replace(self, fine=self.fine * scale[:, None], coarse=self.coarse * scale[:, None])

    def unrest(self) -> Floats:
        """Return [resources], how far a value usually is from those shortly before, as a share of the mean."""
        known = np.nan_to_num(self.fine)
        apart = np.abs(known[:, _APART:] - known[:, :-_APART]).sum(axis=1)
        return np.asarray(apart / (np.abs(known).sum(axis=1) + _SMALLEST), np.float32)


def filled_in(values: Floats, first: Integers, past: Bequest, column: int, lags: Integers) -> Integers:
    """Fill in ``values`` [resources, time] before ``first``, ``lags`` later than they were; return what is first now.

    Where a lag leads back beyond what is known, the oldest value stands.
    """
    before = past.values
    width, length = values.shape[1], before.shape[1]
    at = np.arange(width) + length - width + column - past.newest - lags[:, None]
    there = (at >= -lags[:, None]) & (at < length) & (np.arange(width) < first[:, None]) & (first < width)[:, None]
    told = np.where(there, np.take_along_axis(before, np.clip(at, 0, length - 1), axis=1), np.nan)
    known = ~np.isnan(told)
    if known.any():
        values[known] = told[known]
    return np.where(known.any(axis=1), known.argmax(axis=1), first)
