"""How good the forecasts were: loss against last value, and the share of actuals under the upper quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.plan import MEDIAN
from exporter.forecast.trial import Design, Result
from exporter.history.signals import LEVELS

_FLOOR = 0.05
_SMALLEST = 1e-12
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Per series and horizon; NaN where neither the series moved nor last value erred."""

    loss: Numbers
    """[series, horizons], (e + .05 s) / (b + .05 s): e our mean error, b last value's, s the mean change before"""
    mae_ratio: Numbers
    """[series, horizons], e / b"""
    under: Numbers
    """[series, horizons, 2], share of actuals at or under the .9 and the .99 quantile"""
    origins: NDArray[np.int64]
    """[series]"""

    @property
    def series_loss(self) -> Numbers:
        """[series], the geometric mean over horizons."""
        return np.array([geometric_mean(row) for row in self.loss])

    @property
    def worst_first(self) -> NDArray[np.int64]:
        """[series], numbers in order of loss; those without one come last."""
        return np.argsort(-np.nan_to_num(self.series_loss, nan=-1.0), kind="stable")


def score(results: Sequence[Result], design: Design) -> Scores:
    """Return the scores of ``results``, in their order."""
    median = design.levels.index(MEDIAN)
    upper = [design.levels.index(level) for level in LEVELS[1:]]
    error = np.array([np.abs(r.actual - r.forecast[:, :, median]).mean(axis=0) for r in results])
    naive = np.array([np.abs(r.actual - r.last[:, None]).mean(axis=0) for r in results])
    pad = _FLOOR * np.array([r.scale for r in results])
    under = np.array([(r.actual[:, :, None] <= r.forecast[:, :, upper]).mean(axis=0) for r in results])
    origins = np.array([len(r.origins) for r in results])
    return Scores(_ratio(error + pad, naive + pad), _ratio(error, naive), under, origins)


def _ratio(ours: Numbers, theirs: Numbers) -> Numbers:
    return np.asarray(np.divide(ours, theirs, out=np.full(ours.shape, np.nan), where=theirs > 0), np.float64)


def geometric_mean(ratios: Numbers) -> float:
    """Return the geometric mean of those that are numbers; NaN of none."""
    known = ratios[np.isfinite(ratios)]
    return float(np.exp(np.log(np.maximum(known, _SMALLEST)).mean())) if known.size else float("nan")


def mean(ratios: Numbers) -> float:
    """Return the mean of those that are numbers; NaN of none."""
    known = ratios[np.isfinite(ratios)]
    return float(known.mean()) if known.size else float("nan")


def pooled(scores: Scores) -> Numbers:
    """Return [horizons, 2], the shares under .9 and .99 over the origins of all series."""
    return np.asarray(np.average(scores.under, axis=0, weights=scores.origins), np.float64)
