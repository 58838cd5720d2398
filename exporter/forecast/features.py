"""What the boosted trees are told of a series: how it stands to its recent past, to past days, and to the models."""

from dataclasses import dataclass

import numpy as np

from exporter.forecast import quantiles
from exporter.forecast.learning import Past
from exporter.forecast.plan import Plan
from exporter.forecast.state import MEMBERS, State
from exporter.forecast.week import middle, past_days
from exporter.history.windows import Floats

MISSING = -128.0
"""Stands for what is not known."""
_LARGEST = 127.0
"""All else is no farther from zero, so that a sample rounded to whole numbers takes a byte each."""
_LAGS = (1, 2, 3, 5, 8, 15, 30)
_MEANS = (4, 8, 12, 24, 40, 80, 120, 360, 1440)
_EXTREMES = (30, 120, 720)
_ROUGHNESS = (4, 12, 60, 720)
BASE = MEMBERS[:-1]
"""The models that the trees hear of."""
FEATURES = len(_LAGS) + len(_MEANS) + 2 * len(_EXTREMES) + len(_ROUGHNESS) + 2 * len(BASE) + 18
"""Columns of ``features``."""
_OUTLIER = 30.0
"""Scaled values are cut here."""
_LARGEST_RATIO = 8.0
_SMALLEST = 1e-20
_BLOCK = 64
"""Series whose changes are looked at together."""


@dataclass(frozen=True)
class Shared:
    """What all horizons share, in the unit of the series."""

    columns: Floats
    """[features, series]"""
    days: Floats
    """[DAYS, series], what was at this time on past days"""


def common(state: State, past: Past, plan: Plan) -> Shared:
    """Return what the features of all horizons at the last column of ``past`` have in common."""
    values, now = past.values, past.newest
    current = values[:, -1]
    columns = [current - values[:, max(now - lag, 0)] for lag in _LAGS]
    columns += [current - values[:, max(now - size + 1, 0) :].mean(axis=1) for size in _MEANS]
    columns += [values[:, max(now - size + 1, 0) :].max(axis=1) - current for size in _EXTREMES]
    columns += [current - values[:, max(now - size + 1, 0) :].min(axis=1) for size in _EXTREMES]
    columns += [*_roughness(values[:, max(now - max(_ROUGHNESS), 0) :])]
    return Shared(np.stack(columns), past_days(state, past.column, past.column, plan))


def _roughness(values: Floats) -> Floats:
    """Return [_ROUGHNESS, series], the mean absolute change from column to column; zero where there is but one."""
    if values.shape[1] < 2:
        return np.stack([0.0 * values[:, -1]] * len(_ROUGHNESS))
    means = np.empty((len(_ROUGHNESS), len(values)), np.float32)
    for start in range(0, len(values), _BLOCK):
        block = slice(start, start + _BLOCK)
        steps = np.diff(values[block], axis=1)
        np.abs(steps, out=steps)
        means[:, block] = [steps[:, -size:].mean(axis=1) for size in _ROUGHNESS]
    return means


def features(shared: Shared, members: Floats, state: State, i: int, past: Past, plan: Plan) -> Floats:
    """Return [series, features] for horizon ``i``, each within ±127, or MISSING where not known.

    ``shared`` is what ``common`` gave, ``members`` [series, models] what the models forecast.
    """
    ahead, current = plan.ahead[i], past.values[:, -1]
    then = past_days(state, past.column + ahead, past.column, plan)
    change = then - shared.days
    level = then - current
    columns = [*shared.columns, level[0], change[0], level[-1], change[-1], middle(change), middle(level)]
    columns += [_moved(past, ahead, ahead), _moved(past, ahead, 4 * ahead), *(members.T - current)]
    columns += [np.fmax.reduce(change), np.fmin.reduce(change), state.usual[:, i]]
    columns += [*_near(level, state, past, ahead, plan), *_hourly(past, ahead, plan)]
    columns += [*quantiles.beside(state, i).T[-2:]]
    unit = np.maximum(state.spread[:, i], _SMALLEST)
    scaled = np.asarray(np.stack(columns, axis=1) / unit[:, None], np.float32)
    ratios = [_ratio(state.losses[:, i, m], state.losses[:, i, 0]) for m in range(1, len(BASE))]
    ratios += [_ratio(unit, np.abs(current)), _ratio(state.size[:, i], unit)]
    told = np.concatenate([_squashed(scaled), np.stack(ratios, axis=1) * _LARGEST / _LARGEST_RATIO], axis=1)
    return np.asarray(np.nan_to_num(told, nan=MISSING), np.float32)


def _squashed(scaled: Floats) -> Floats:
    """Return ``scaled`` within ±_LARGEST: fine about zero, coarse far from it."""
    cut = np.arcsinh(np.clip(scaled, -_OUTLIER, _OUTLIER))
    return np.asarray(cut * (_LARGEST / np.arcsinh(_OUTLIER)))


def _near(level: Floats, state: State, past: Past, ahead: int, plan: Plan) -> tuple[Floats, Floats]:
    """Return the highest that past days were about then, a slot to either side included: on any day, and on average."""
    current, then = past.values[:, -1], past.column + ahead
    sides = [past_days(state, at, past.column, plan) - current for at in (then - plan.slot, then + plan.slot)]
    highest = np.fmax(level, np.fmax(*sides))
    return np.asarray(np.fmax.reduce(highest)), middle(highest)


def _hourly(past: Past, ahead: int, plan: Plan) -> tuple[Floats, Floats]:
    """Return what the last hours held at the same minute: the last one, and the highest of three."""
    hour = max(plan.day // 24, 1)
    first = past.newest + ahead - -(-ahead // hour) * hour
    columns = np.stack([past.values[:, max(first - number * hour, 0)] for number in range(3)]) - past.values[:, -1]
    return columns[0], np.asarray(columns.max(axis=0))


def _moved(past: Past, ahead: int, size: int) -> Floats:
    """Return [series], the mean absolute change over ``ahead`` columns in the last ``size``."""
    values = past.values
    if past.newest < ahead:
        return np.full(len(values), np.nan, np.float32)
    start = max(past.newest - size + 1, ahead)
    return np.asarray(np.abs(values[:, start:] - values[:, start - ahead : past.newest + 1 - ahead]).mean(axis=1))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return the logarithm of ``part`` over ``whole``."""
    ratio = np.log(np.maximum(part, _SMALLEST) / np.maximum(whole, _SMALLEST))
    return np.asarray(np.clip(ratio, -_LARGEST_RATIO, _LARGEST_RATIO))
