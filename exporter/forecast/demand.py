"""From a grid to gap-free demand: what the containers wanted, not what their limits let through."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Bools, Floats, Grid, Integers

_BINDING = 5
"""Columns over which a cap must bind for demand to be taken as the ceiling."""
_BLOCK = 10
"""Containers that are mended at a time: what that needs is several times their size."""
_BEGINNING = 3
"""Columns that are left out of what begins within the grid: how a container starts is no sign of what comes after."""
_LARGEST = 1e30
"""What lies beyond counts as not seen: no resource is so large, and a sum of such is no float32."""


@dataclass(frozen=True)
class Demand:
    """Rows are series (container-major, then resource); every column is filled from the past.

    What was seen may be told of the newest columns alone, so it is looked up from the end.
    """

    values: Floats
    """[series, time], the units of the resource; before ``first`` the first known value; NaN if a row has none."""
    measured: Bools
    """[series, newest], true where a sample was seen and not censored: only there coverage counts."""
    low: Floats
    """[series, newest], what the demand was at the least; NaN where nothing was seen."""
    high: Floats
    """[series, newest], what it was at the most; as ``low`` where it is measured."""
    first: Integers
    """[series], column of the first sample; the number of columns where there is none."""

    def before(self, column: int) -> "Demand":
        """Return what was known before ``column``."""
        later = max(self.values.shape[1] - column, 0)
        seen = slice(max(self.measured.shape[1] - later, 0))
        first = np.minimum(self.first, column)
        return Demand(self.values[:, :column], self.measured[:, seen], self.low[:, seen], self.high[:, seen], first)


@dataclass(frozen=True)
class _Repair:
    """What stood where some series were mended; a bit a sample, since gaps may be many."""

    gaps: NDArray[np.uint8]
    changed: NDArray[np.uint8]
    """Samples that are replaced: censored or absurd ones, and those of a beginning."""
    samples: Floats

    @classmethod
    def of(cls, values: Floats, changed: Bools) -> "_Repair":
        """Remember ``values`` [series, time] where they are NaN or ``changed``."""
        return cls(np.packbits(np.isnan(values)), np.packbits(changed), values[changed])

    def undo(self, values: Floats) -> None:
        """Put back what stood in ``values``."""
        gaps, changed = (np.unpackbits(bits, count=values.size) for bits in (self.gaps, self.changed))
        values[gaps.view(np.bool_).reshape(values.shape)] = np.nan
        values[changed.view(np.bool_).reshape(values.shape)] = self.samples


def prepare(grid: Grid) -> Demand:
    """Return the demand behind ``grid``; causal, so that a later column never changes an earlier one."""
    return _mend(replace(grid, values=grid.values.copy()), grid.values.shape[2], [])


@contextmanager
def mended(grid: Grid, newest: int) -> Iterator[Demand]:
    """Lend the demand behind ``grid``, and what was seen in so many of its ``newest`` columns.

    The values are those of ``grid`` itself, mended in place until the end: a day of a node is too large for a copy.
    """
    repairs: list[tuple[slice, _Repair]] = []
    try:
        yield _mend(grid, newest, repairs)
    finally:
        values = grid.values.reshape(-1, grid.values.shape[2])
        for block, repair in repairs:
            repair.undo(values[block])


def settled(demand: Demand) -> Demand:
    """Return ``demand`` with the beginnings in it left out, as if nothing had been seen yet; its values are changed.

    What has only begun is known by its newest column.
    """
    width = demand.values.shape[1]
    begun = (demand.first > 0) & (demand.first < width)
    first = np.where(begun, np.minimum(demand.first + _BEGINNING, width - 1), demand.first)
    for series in np.flatnonzero(begun):
        demand.values[series, : first[series]] = demand.values[series, first[series]]
    return replace(demand, first=first)


def _mend(grid: Grid, newest: int, repairs: list[tuple[slice, _Repair]]) -> Demand:
    """Mend the values of ``grid``, block by block; note in ``repairs`` what stood in each."""
    rows, resources, width = grid.values.shape
    values = grid.values.reshape(-1, width)
    newest = min(newest, width)
    low = _credible(values[:, width - newest :]).copy()
    high, censored = _bounds(grid, slice(0, rows), slice(width - newest, width))
    measured, first = ~np.isnan(low) & ~censored, np.empty(len(values), np.int64)
    for start in range(0, rows, _BLOCK):
        block = slice(start * resources, (start + _BLOCK) * resources)
        known, (ceilings, censored) = _credible(values[block]), _bounds(grid, slice(start, start + _BLOCK), slice(None))
        told = ~np.isnan(known)
        first[block] = np.where(told.any(axis=1), told.argmax(axis=1), width)
        if not (told & ~censored).all():
            begins = np.arange(width) < first[block, None] + _BEGINNING
            changed = ~np.isnan(values[block]) & (censored | ~told | begins)
            repairs.append((block, _Repair.of(values[block], changed)))
            values[block] = _fill(_impute(known, ceilings, censored), told, first[block])
    return Demand(values, measured, low, high, first)


def _bounds(grid: Grid, rows: slice, columns: slice) -> tuple[Floats, Bools]:
    """Return [series, columns], the most that the demand of some containers was, and where it was held back."""
    high = grid.values[rows, :, columns].copy()
    censored = np.zeros(high.shape, np.bool_)
    about = grid.ceilings.shape[1]
    np.fmax(high[:, :about], grid.ceilings[rows, :, columns], out=high[:, :about])
    censored[:, :about] = grid.censored[rows, :, columns]
    series = (high.shape[0] * high.shape[1], high.shape[2])
    return high.reshape(series), censored.reshape(series)


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
    return np.take_along_axis(values, np.maximum.accumulate(columns, axis=1, out=columns), axis=1)
