"""Quantiles from the served median's own past errors.

The empirical quantile of the errors, each divided by the spread of its time (split conformal prediction),
at a level that live coverage corrects (adaptive conformal inference; Gibbs & Candès, NeurIPS 2021).
"""

import numpy as np

from exporter.history.windows import Floats, Halves, Integers

_RATE = 0.005
"""How far one hit or miss moves the level."""
_PRIOR_ERRORS = 24
"""Errors borrowed from all series of the resource while a series has few of its own."""


def remember(errors: Halves, filled: Integers, error: Floats, stride: int, column: int) -> None:
    """Put ``error`` [...] into the rings ``errors`` [..., ring] in place; full rings take each ``stride``-th."""
    ring = errors.shape[-1]
    taken = ~np.isnan(error) & ((filled < ring) | (column % stride == 0))
    where = np.nonzero(taken)
    errors[(*where, filled[where] % ring)] = error[where]
    filled += taken


def correct(shift: Floats, coverage_hit: Floats, levels: tuple[float, ...]) -> None:
    """Move ``shift`` [..., levels] in place by ``coverage_hit``: 1 where covered, 0 where not, NaN unknown."""
    target = np.array(levels, np.float32)
    shift += np.nan_to_num(_RATE * (target - coverage_hit), nan=0.0)
    room = 1.0 - target
    np.clip(shift, -3.0 * room, room, out=shift)


def quantiles(errors: Halves, pool: Floats, levels: Floats) -> Floats:
    """Return [rows, levels], quantiles of ``errors`` [rows, ring]; rows with few lean on the sample ``pool``.

    ``levels`` [rows, levels] is the share to be covered. The finite-sample rank is (n + 1) × level; past
    the largest error, the bound is that error and half as much again for each rank missing, at most double.
    """
    borrowed = np.broadcast_to(pool, (len(errors), len(pool)))
    counts = (~np.isnan(errors)).sum(axis=1)
    borrowed = np.where((counts < _PRIOR_ERRORS)[:, None], borrowed, np.nan)
    ranked = np.sort(np.concatenate([errors.astype(np.float32), borrowed], axis=1), axis=1)
    number = (~np.isnan(ranked)).sum(axis=1)[:, None]
    rank = np.minimum(levels, 1.0) * (number + 1) - 1
    below = np.clip(np.floor(rank), 0, np.maximum(number - 1, 0)).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(number - 1, 0))
    low, high = (np.take_along_axis(ranked, at, axis=1) for at in (below, above))
    value = low + np.clip(rank - below, 0.0, 1.0) * (high - low)
    beyond = np.clip(rank - (number - 1), 0.0, 1.0)
    return np.asarray(np.nan_to_num(value + 0.5 * beyond * np.abs(value), nan=0.0), dtype=np.float32)


def pool_sample(errors: Halves) -> Floats:
    """Return ``_PRIOR_ERRORS`` evenly ranked ones out of all ``errors``; empty if there are none."""
    values = errors[~np.isnan(errors)].astype(np.float32)
    if not values.size:
        return np.zeros(0, np.float32)
    ranks = (np.arange(_PRIOR_ERRORS) + 0.5) / _PRIOR_ERRORS
    return np.asarray(np.quantile(values, ranks), dtype=np.float32)
