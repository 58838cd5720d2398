"""Lag regression: changes to come explained by changes past, each series leaning on all the others.

Each series keeps running sums of its own normal equations. What it is solved with is its own sums plus a
few samples' worth of the average sums of its resource, so a young series forecasts as its kind does and
an old one as itself. Samples are weighted by the inverse of their last error, which turns least squares
into least absolute deviations (iteratively reweighted; Schlossmacher, JASA 1973).
"""

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.season import around, cycle_mean
from exporter.history.windows import Floats, Integers

_LAGS = (1, 3)
_MEANS = (4, 12, 40, 120, 360)
FEATURES = len(_LAGS) + len(_MEANS) + 5
"""Columns of ``features``."""
_PRIOR = 30.0
"""Samples' worth of the average of all series that each series is solved with."""
_RIDGE = 0.02
_MEMORY = 0.9995
"""What a sample weighs after one more."""
_SMALLEST = 1e-20
"""Stands for a spread of zero; its inverse still fits float32."""
_OUTLIER = 20.0
"""Scaled values are cut here."""
_SMALLEST_ERROR = 0.2
"""In units of the spread; bounds the weight of a sample that was forecast exactly."""


def features(values: Floats, first: Integers, now: int, ahead: int, period: Floats, day: int) -> Floats:
    """Return [series, FEATURES]: differences that may drive the change from column ``now`` to ``now + ahead``.

    All are in the unit of the series, and all zero for a constant series, which is thus forecast constant.
    The last four are the seasonal ones, NaN where no cycle is known: cycle, cycle's change, yesterday,
    yesterday's change. ``day`` is the number of columns in a day.
    """
    current = values[:, now]
    columns = [current - values[:, max(now - lag, 0)] for lag in (*_LAGS, ahead)]
    columns += [current - values[:, max(now - size + 1, 0) : now + 1].mean(axis=1) for size in _MEANS]
    reach = max(1, ahead // 5)
    cycle = cycle_mean(values, first, now, ahead, period)
    days = -(-ahead // day)  # more than one where the same time yesterday is yet to come
    yesterday = around(values, first, now + ahead - days * day, reach)
    columns += [cycle - current, cycle - cycle_mean(values, first, now, 0, period)]
    columns += [yesterday - current, yesterday - around(values, first, now - day, reach)]
    return np.stack(columns, axis=1)


def learn(sums: Floats, inputs: Floats, change: Floats, error: Floats, spread: Floats) -> None:
    """Add one sample a series to ``sums`` [series, FEATURES + 1, FEATURES + 1] in place, ageing the rest.

    ``change`` [series] is what ``inputs`` [series, FEATURES] had to explain, NaN where there is no sample;
    ``error`` is what was left of it. The last row and column of the sums hold the target, and their last
    corner the number of samples.
    """
    unit = np.maximum(spread, _SMALLEST)
    heard = ~np.isnan(change) & (spread > 0)
    joined = np.clip(np.concatenate([inputs, change[:, None]], axis=1) / unit[:, None], -_OUTLIER, _OUTLIER)
    joined = np.where(heard[:, None], np.nan_to_num(joined, nan=0.0), 0.0).astype(np.float32)
    weight = 1.0 / (np.nan_to_num(np.abs(error) / unit, nan=1.0) + _SMALLEST_ERROR)
    fresh = (joined * weight[:, None])[:, :, None] * joined[:, None, :]
    fresh[:, -1, -1] = heard
    sums *= np.where(heard, np.float32(_MEMORY), np.float32(1.0))[:, None, None]
    sums += fresh


def pooled(sums: Floats, resources: int) -> Floats:
    """Return the average sample of each resource: [resources, FEATURES + 1, FEATURES + 1]."""
    total = sums.reshape(-1, resources, *sums.shape[1:]).sum(axis=0)
    return np.asarray(total / np.maximum(total[:, -1:, -1:], 1.0))


def solve(sums: Floats, prior: Floats) -> Floats:
    """Return coefficients [series, FEATURES] for ``sums``, leaning on ``prior`` of the same shape."""
    system = sums.astype(np.float64) + _PRIOR * prior
    gram, moment = system[:, :-1, :-1], system[:, :-1, -1:]
    size = np.trace(gram, axis1=1, axis2=2) / FEATURES
    ridge: NDArray[np.float64] = (_RIDGE * size + 1e-6)[:, None, None] * np.eye(FEATURES)
    return np.linalg.solve(gram + ridge, moment)[..., 0].astype(np.float32)
