"""From a grid to gap-free demand: what the containers wanted, not what their limits let through."""

from dataclasses import dataclass

import numpy as np

from exporter.history.windows import Bools, Floats, Grid, Integers

_BINDING = 5
"""Columns over which a cap must bind for demand to be taken as the ceiling."""
_BLOCK = 256
"""Series that are mended at a time: what that needs besides its result is several times their size."""
_LARGEST = 1e30
"""What lies beyond counts as not seen: no resource is so large, and a sum of such is no float32."""


@dataclass(frozen=True)
class Demand:
    """Rows are series (container-major, then resource); every column is filled from the past."""

    values: Floats
    """[series, time], the units of the resource; before ``first`` the first known value; NaN if a row has none."""
    measured: Bools
    """[series, time], true where a sample was seen and not censored: only there coverage counts."""
    low: Floats
    """[series, time], what the demand was at the least; NaN where nothing was seen."""
    high: Floats
    """[series, time], what it was at the most; as ``low`` where it is measured."""
    first: Integers
    """[series], column of the first sample; the number of columns where there is none."""

    def before(self, column: int) -> "Demand":
        """Return what was known before ``column``."""
        every = slice(None, column)
        first = np.minimum(self.first, column)
        return Demand(self.values[:, every], self.measured[:, every], self.low[:, every], self.high[:, every], first)


def prepare(grid: Grid) -> Demand:
    """Return the demand behind ``grid``; causal, so that a later column never changes an earlier one."""
    width = grid.values.shape[2]
    low, high = _credible(grid.values.reshape(-1, width)), grid.ceilings.reshape(-1, width)
    censored = grid.censored.reshape(-1, width)
    measured, first = np.empty(low.shape, np.bool_), np.empty(len(low), np.int64)
    values = low
    for start in range(0, len(low), _BLOCK):
        block = slice(start, start + _BLOCK)
        seen = ~np.isnan(low[block])
        measured[block] = seen & ~censored[block]
        first[block] = np.where(seen.any(axis=1), seen.argmax(axis=1), width)
        if not measured[block].all():
            values = low.copy() if values is low else values
            values[block] = _fill(_impute(low[block], high[block], censored[block]), seen, first[block])
    return Demand(values, measured, low, high, first)


def _credible(values: Floats) -> Floats:
    """Return ``values`` with NaN for what is infinite or absurd, the very same array where nothing is."""
    most, least = np.fmax.reduce(values, axis=None, initial=0.0), np.fmin.reduce(values, axis=None, initial=0.0)
    if most <= _LARGEST and least >= -_LARGEST:
        return values
    return np.where(np.abs(values) <= _LARGEST, values, np.float32(np.nan))


def _impute(values: Floats, ceilings: Floats, censored: Bools) -> Floats:
    """Move censored samples towards their ceiling, all the way once the cap has bound for a while."""
    rows = np.flatnonzero(censored.any(axis=1))
    bound = np.cumsum(censored[rows], axis=1, dtype=np.float32)
    bound[:, _BINDING:] -= bound[:, :-_BINDING].copy()
    share = np.where(censored[rows], np.minimum(bound / _BINDING, 1.0), 0.0)
    head = np.where(np.isfinite(ceilings[rows]), ceilings[rows] - values[rows], 0.0)
    imputed = values.copy()
    imputed[rows] += (share * np.maximum(head, 0.0)).astype(np.float32)
    return imputed


def _fill(values: Floats, seen: Bools, first: Integers) -> Floats:
    """Carry the last sample forward; before the first one stands the first."""
    columns = np.where(seen, np.arange(values.shape[1]), np.minimum(first, values.shape[1] - 1)[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(columns, axis=1), axis=1)
