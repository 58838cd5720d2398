"""What else a rise may be: a few steps, or the middle of a wave or a warm-up; told from its equal parts."""

import numpy as np
from numpy.polynomial import legendre

from exporter.assess.robust import Numbers
from exporter.history.windows import Integers

PARTS = 16
FEW = 3
"""Jumps that may be deployments or loads of data; a leak that comes in stairs has more."""
_MIDDLES = (2 * np.arange(PARTS) + 1) / PARTS - 1
_CUBICS = legendre.legvander(_MIDDLES, 3)
_FIT = np.linalg.pinv(_CUBICS)
_REST = np.eye(PARTS) - _CUBICS @ _FIT
_AT_END = 2 * legendre.legval(1.0, legendre.legder(np.eye(4))) @ _FIT
"""What each part adds to the slope at the newest end, over the line's."""
_BEND = 3 * _FIT[2]
"""What each part adds to the later half's slope and takes from the earlier one's, over the line's."""


def parts(away: Numbers, width: Integers) -> Numbers:
    """Return [rows, PARTS], the means of ``away`` [rows, columns] over equal parts of the last ``width`` columns."""
    rows, columns = away.shape
    running = np.zeros((rows, columns + 1))
    np.cumsum(away, axis=1, dtype=np.float64, out=running[:, 1:])
    bounds = columns - width[:, None] * (1 - np.arange(PARTS + 1) / PARTS)
    whole = np.minimum(bounds.astype(np.int64), columns - 1)
    upto = np.take_along_axis(running, whole, 1) + (bounds - whole) * np.take_along_axis(away, whole, 1)
    means: Numbers = np.diff(upto, axis=1) / (width / PARTS)[:, None]
    return means


def end_slope(residuals: Numbers) -> Numbers:
    """Return the slope at the newest end over the line's, with a standard error in its favour.

    ``residuals`` [rows, PARTS] are the parts' distances from the line, over its whole rise. By a cubic: the middle of
    a wave's rise is as steep in one half as in the other, and a quadratic would see a line.
    """
    return 1 + _favoured(residuals, _AT_END)


def damping(residuals: Numbers) -> Numbers:
    """Return the later half's slope over the earlier one's, at most 1, with a standard error in its favour.

    ``residuals`` as for ``end_slope``.
    """
    bend = np.minimum(_favoured(residuals, _BEND), 0.0)
    ratio: Numbers = np.maximum(1 + bend, 0.0) / (1 - bend)
    return ratio


def _favoured(residuals: Numbers, weights: Numbers) -> Numbers:
    # Each part's noise is what a cubic leaves: teeth, stairs and slow noise are no white noise of the samples.
    noise = ((residuals @ _REST) ** 2).sum(axis=1) / (PARTS - 4)
    favoured: Numbers = residuals @ weights + np.sqrt(noise * (weights**2).sum())
    return favoured


def unlike_steps(residuals: Numbers) -> Numbers:
    """Return what FEW jumps between levels leave unexplained, over what the line leaves; steps are near 0.

    ``residuals`` as for ``end_slope``. Least squares by dynamic programming; the part in which a jump falls is free.
    """
    costs = _costs(residuals + (np.arange(PARTS) + 0.5) / PARTS)
    best = costs[:, 0]
    for _ in range(FEW):
        begun = best.copy()
        begun[:, 1:] = np.minimum(best[:, 1:], best[:, :-1])
        best = np.minimum(best, (begun[:, :, None] + costs).min(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Numbers = best[:, -1] / (residuals**2).sum(axis=1)
    return ratio


def _costs(heights: Numbers) -> Numbers:
    """Return [rows, first, last], the sum of squares about their mean of parts first ≤ p < last."""
    sums = np.zeros((2, len(heights), PARTS + 1))
    np.cumsum([heights, heights**2], axis=2, out=sums[:, :, 1:])
    level, square = sums[:, :, None, :] - sums[:, :, :, None]
    count = np.arange(PARTS + 1) - np.arange(PARTS + 1)[:, None]
    about = np.maximum(square - level**2 / np.maximum(count, 1), 0.0)
    return np.where(count >= 0, about, np.inf)
