"""What a step teaches: losses, coverage and errors of what fell due, and a sample for the regression."""

from dataclasses import dataclass

import numpy as np

from exporter.forecast import calibration, regression, selection
from exporter.forecast.state import MEMBERS, RING, SCORED, State
from exporter.history.windows import Bools, Floats, Integers

_LOSS_MEMORY = 180
_SPREAD_MEMORY = 240
_COVERAGE_MEMORY = 500
_SIZE_MEMORY = 60
_SIZE_FLOOR = 0.02
_OUTLIER = 50.0
"""Errors over the spread are cut here."""
_SMALLEST = 1e-20


@dataclass(frozen=True)
class Plan:
    """What is forecast; all in columns of the grid."""

    ahead: tuple[int, ...]
    """Horizons."""
    levels: tuple[float, ...]
    """Quantiles, rising."""
    resources: int
    """Series per container."""
    day: int
    """Columns in a day."""
    window: int
    """Columns of history that a step may look back on."""


@dataclass(frozen=True)
class Past:
    """What a step sees: its own column and those before."""

    values: Floats
    """[series, time], the step's column last"""
    first: Integers
    """[series], column of the first sample"""
    measured: Bools
    """[series], the last column was seen and is not censored"""
    low: Floats
    """[series], what the demand of the last column was at the least; NaN where nothing was seen"""
    high: Floats
    """[series], what it was at the most"""

    @property
    def newest(self) -> int:
        """The last column."""
        return int(self.values.shape[1]) - 1


def notice(state: State, past: Past) -> None:
    """Note how long each series has stood still, and how low it went."""
    value, before = past.values[:, -1], past.values[:, max(past.newest - 1, 0)]
    state.run[:] = np.where((value == before) & (past.newest > 0), state.run + 1, 0)
    state.lowest[:] = np.fmin(state.lowest, value)
    state.level[:] = value


def learn(state: State, i: int, past: Past, due: Floats, plan: Plan) -> None:
    """Give the change over horizon ``i`` that has just become known to the spread and the regression."""
    ahead = plan.ahead[i]
    origin = past.newest - ahead
    heard = ~np.isnan(past.low) & (past.first <= origin)
    change = np.where(heard, past.values[:, -1] - past.values[:, origin], np.nan)
    size = np.abs(change)
    state.spread[:, i] = selection.decayed(state.spread[:, i], size, state.changes[:, i], _SPREAD_MEMORY)
    state.changes[:, i] += heard
    inputs = regression.features(past.values, past.first, origin, ahead, state.period, plan.day)
    error = past.values[:, -1] - due[:, MEMBERS.index("regression")]
    regression.learn(state.sums[:, i], inputs, change, error, state.spread[:, i])


def calibrate(state: State, i: int, past: Past, due: Floats, plan: Plan, column: int) -> None:
    """Compare what was forecast over horizon ``i``, ``due`` [series, SCORED and levels], with what came."""
    errors = np.clip(due, past.low[:, None], past.high[:, None]) - due
    scored, covered = errors[:, : len(SCORED)], np.where(past.measured[:, None], errors, np.nan)[:, len(SCORED) :]
    state.losses[:, i] = selection.decayed(state.losses[:, i], np.abs(scored), state.heard[:, i], _LOSS_MEMORY)
    state.heard[:, i] += ~np.isnan(scored)
    hits = np.where(np.isnan(covered), np.nan, covered <= 0).astype(np.float32)
    state.coverage[:, i] = selection.decayed(state.coverage[:, i], hits, state.measured[:, i], _COVERAGE_MEMORY)
    calibration.correct(state.shift[:, i], hits, plan.levels)
    served = np.where(past.measured, scored[:, -1], np.nan)
    state.measured[:, i] += ~np.isnan(served)
    unit = error_unit(state.size[:, i], state.spread[:, i])
    scaled = np.clip(served / unit, -_OUTLIER, _OUTLIER).astype(np.float32)
    state.size[:, i] = selection.decayed(state.size[:, i], np.abs(served), state.filled[:, i], _SIZE_MEMORY)
    stride = max(plan.window // RING, 1)
    calibration.remember(state.errors[:, i], state.filled[:, i], scaled, stride, column)


def error_unit(size: Floats, spread: Floats) -> Floats:
    """Return [series], what errors are measured in: midway between their recent size and the spread.

    The spread alone is slow to see that a rhythm has been learned, the size alone is noisy.
    """
    recent = np.fmax(np.where(np.isnan(size), spread, size), _SIZE_FLOOR * spread)
    return np.asarray(np.fmax(np.sqrt(recent * spread), _SMALLEST), np.float32)
