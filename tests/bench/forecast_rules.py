"""Peers that are a rule rather than a library, over the whole past of a series on an even grid.

A rule that says one number has its own past errors as its distribution: the empirical quantile of the newest
ERRORS of them at that horizon is added. That is the best that such a rule can be made to say.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]

DAY = 86400.0
ERRORS = 1000
_PAST_DAYS = 7
_VPA_SHARE = 0.9
_VPA_MARGIN = 1.15


def last_value(values: Doubles, ahead: int, step: float) -> Doubles:
    """Return [columns], for each column what was forecast for it ``ahead`` columns before."""
    return _shifted(values, ahead)


def seasonal_naive(values: Doubles, ahead: int, step: float) -> Doubles:
    """Return [columns]: the value a day before; last value in the first day."""
    day = _shifted(values, _day(step))
    return np.where(np.isnan(day), _shifted(values, ahead), day)


def same_time_on_past_days(values: Doubles, ahead: int, step: float) -> Doubles:
    """Return [columns]: the mean at this time of day on the last seven days, as many as there are."""
    days = np.stack([_shifted(values, _day(step) * back) for back in range(1, _PAST_DAYS + 1)])
    known = np.isfinite(days)
    mean = np.where(known, days, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), mean, _shifted(values, ahead))


def _day(step: float) -> int:
    return round(DAY / step)


def _shifted(values: Doubles, by: int) -> Doubles:
    moved = np.full(len(values), np.nan)
    moved[by:] = values[: max(len(values) - by, 0)]
    return moved


RULES = {
    "last_value": last_value,
    "seasonal_naive": seasonal_naive,
    "crane_past_days": same_time_on_past_days,
}


def by_rule(
    name: str, values: Doubles, origins: Places, ahead: Sequence[int], levels: Sequence[float], step: float
) -> Doubles:
    """Return [origins, horizons, levels] of one of RULES, or of ``vpa``, which says the same at each."""
    out = np.empty((len(origins), len(ahead), len(levels)))
    if name == "vpa":
        out[:] = vpa_recommendation(values, origins, step)[:, None, None]
        return out
    for i, horizon in enumerate(ahead):
        said = RULES[name](np.append(values, np.full(horizon, np.nan)), horizon, step)
        errors = values - said[: len(values)]
        for at, origin in enumerate(origins):
            out[at, i] = said[origin + horizon] + _error_quantiles(errors[: origin + 1], levels)
    return out


def _error_quantiles(errors: Doubles, levels: Sequence[float]) -> Doubles:
    newest = errors[-ERRORS:]
    newest = newest[np.isfinite(newest)]
    if not newest.size:
        return np.zeros(len(levels))
    found = np.quantile(newest, levels)
    return np.where(np.array(levels) == 0.5, 0.0, found)


def vpa_recommendation(values: Doubles, origins: Places, step: float) -> Doubles:
    """Return [origins]: the 90th percentile of the past, whose weight halves each day, plus 15 %.

    Source: the Vertical Pod Autoscaler's recommender, its default target. Its histogram buckets, 5 % wide, are
    left out: the percentile is exact.
    """
    order = np.argsort(values, kind="stable")
    weights = np.exp2(np.arange(len(values)) * step / DAY - len(values) * step / DAY)[order]
    found = np.empty(len(origins))
    for at, origin in enumerate(origins):
        mass = np.cumsum(np.where(order <= origin, weights, 0.0))
        found[at] = values[order[np.searchsorted(mass, _VPA_SHARE * mass[-1])]]
    return found * _VPA_MARGIN
