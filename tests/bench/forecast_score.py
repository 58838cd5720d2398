"""How forecasts are compared: a loss per series against last value, averaged geometrically over series."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

DELTA = 0.05
"""Share of a series' usual change that is added to both sides, so that series that hardly move decide nothing."""


def pinball(actual: Doubles, forecast: Doubles, level: float) -> Doubles:
    """Return the pinball loss of each forecast of quantile ``level``."""
    short = actual - forecast
    return np.maximum(level * short, (level - 1) * short)


def mean_error(actual: Doubles, forecast: Doubles, level: float) -> Doubles:
    """Return [horizons], over [origins, horizons]: the mean absolute error for .5, the mean pinball loss above."""
    loss = np.abs(actual - forecast) if level == 0.5 else pinball(actual, forecast, level)
    return np.asarray(loss.mean(axis=0))


def loss(error: Doubles, base: Doubles, scale: Doubles) -> Doubles:
    """Return (e + δs) / (b + δs); NaN where the series did not move before the split (``scale`` is 0)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, (error + DELTA * scale) / (base + DELTA * scale), np.nan)


def geometric_mean(losses: Doubles) -> Doubles:
    """Return the mean over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(losses)
    total = np.where(known, np.log(np.where(known, losses, 1.0)), 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.exp(total / known.sum(axis=0)))


def share_under(actual: Sequence[Doubles], forecast: Sequence[Doubles]) -> Doubles:
    """Return [series], the share of actuals at or under their forecast."""
    return np.array([np.mean(a <= f) for a, f in zip(actual, forecast, strict=True)])
