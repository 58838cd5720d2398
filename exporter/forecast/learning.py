"""What a step teaches: losses, coverage and errors of what fell due, and a sample for the regression."""

from dataclasses import dataclass

import numpy as np

from exporter.forecast import calibration, regression, selection
from exporter.forecast.plan import MEDIAN, Plan
from exporter.forecast.state import MEMBERS, RING, SAID, SCORED, STANDING, State
from exporter.history.windows import Bools, Floats, Integers

_LOSS_MEMORY = 180
_SPREAD_MEMORY = 240
_USUAL_MEMORY = 2880
_STANDING_MEMORY = 720
_UPPER_MEMORY = 720
_HASTE = 2.0
"""Early losses say little of what was learned since: while young, the first half of them weighs a quarter."""
_SPIKE = 10.0
"""Times the last value's loss, or the usual change: what is more counts for this much."""
_YOUNG = 30
"""Errors before which every one counts in full."""
_NUDGE = 0.05
"""Usual changes by which a miss raises a quantile."""
_SMALLEST_SPREAD = 0.05
"""Of the usual change: what stood still for long may move again."""
_COVERAGE_MEMORY = 500
_SIZE_MEMORY = 60
_SIZE_FLOOR = 0.02
_OUTLIER = 50.0
"""Errors over the spread are cut here."""
_SMALLEST = 1e-20


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
    column: int
    """Number of the last column since the epoch"""

    @property
    def newest(self) -> int:
        """The last column."""
        return int(self.values.shape[1]) - 1


@dataclass(frozen=True)
class Due:
    """What was forecast for the step's column; NaN where nothing was."""

    scored: Floats
    """[series, SCORED]"""
    quantiles: Floats
    """[series, levels], as published"""
    said: Floats
    """[series, levels, SAID]"""

    @staticmethod
    def of(items: Floats, levels: int) -> "Due":
        """Take apart what was pending, [series, items]."""
        scored, quantiles, said = np.split(items, [len(SCORED), len(SCORED) + levels], axis=1)
        return Due(scored, quantiles, said.reshape(len(items), levels, len(SAID)))

    def where(self, counts: Bools) -> "Due":
        """Return it for the series that ``counts`` [series] names, NaN for the others."""
        scored, quantiles = (np.where(counts[:, None], said, np.nan) for said in (self.scored, self.quantiles))
        return Due(scored, quantiles, np.where(counts[:, None, None], self.said, np.nan))

    @staticmethod
    def items(levels: int) -> int:
        """Return the number of items that are pending."""
        return len(SCORED) + levels * (1 + len(SAID))


def notice(state: State, past: Past) -> None:
    """Note how long each series has stood still, and how low it went."""
    value, before = past.values[:, -1], past.values[:, max(past.newest - 1, 0)]
    state.run[:] = np.where((value == before) & (past.newest > 0), state.run + 1, 0)
    state.lowest[:] = np.fmin(state.lowest, value)
    state.level[:] = value


def learn(state: State, i: int, past: Past, due: Due, plan: Plan) -> None:
    """Give the change over horizon ``i`` that has just become known to the spread and the regression."""
    ahead = plan.ahead[i]
    origin = past.newest - ahead
    heard = ~np.isnan(past.low) & (past.first <= origin)
    change = np.where(heard, past.values[:, -1] - past.values[:, origin], np.nan)
    size = np.minimum(np.abs(change), _most_moved(state, i))
    state.usual[:, i] = selection.decayed(state.usual[:, i], size, state.changes[:, i], _USUAL_MEMORY)
    state.spread[:, i] = selection.decayed(state.spread[:, i], size, state.changes[:, i], _SPREAD_MEMORY)
    state.changes[:, i] += heard
    inputs = regression.features(past.values, past.first, origin, ahead, state.period, plan.day)
    error = past.values[:, -1] - due.scored[:, MEMBERS.index("regression")]
    regression.learn(state.sums[:, i], inputs, change, error, state.spread[:, i])


def calibrate(state: State, i: int, past: Past, due: Due, plan: Plan) -> None:
    """Compare what was forecast over horizon ``i`` with what came; what was said in the beginning does not count."""
    due = due.where(past.first <= past.newest - plan.ahead[i])
    scored = np.clip(due.scored, past.low[:, None], past.high[:, None]) - due.scored
    covered = np.clip(due.quantiles, past.low[:, None], past.high[:, None]) - due.quantiles
    covered = np.where((past.measured & (state.met[:, i] >= 0))[:, None], covered, np.nan)
    lost = np.minimum(np.abs(scored), _most_lost(state, i)[:, None])
    state.losses[:, i] = selection.decayed(state.losses[:, i], lost, state.heard[:, i], _LOSS_MEMORY, _HASTE)
    heard = state.heard[:, i, STANDING[1]]
    state.standing[:, i] = selection.decayed(state.standing[:, i], lost[:, STANDING], heard, _STANDING_MEMORY, _HASTE)
    hits = _hits(covered)
    state.coverage[:, i] = selection.decayed(state.coverage[:, i], hits, state.measured[:, i], _COVERAGE_MEMORY, _HASTE)
    _calibrate_upper(state, i, past, due, plan)
    state.heard[:, i] += ~np.isnan(scored)
    served = np.where(past.measured, scored[:, -1], np.nan)
    state.measured[:, i] += ~np.isnan(covered[:, 0])
    state.met[:, i] += ~np.isnan(scored[:, -1])
    unit = error_unit(state.size[:, i], state.spread[:, i])
    scaled = np.clip(served / unit, -_OUTLIER, _OUTLIER).astype(np.float32)
    state.size[:, i] = selection.decayed(state.size[:, i], np.abs(served), state.filled[:, i], _SIZE_MEMORY)
    stride = max(plan.window // RING, 1)
    calibration.remember(state.errors[:, i], state.filled[:, i], scaled, stride, past.column)


def _most_moved(state: State, i: int) -> Floats:
    """Return [series], what one change counts for at most: a spike must not set the scale of what comes after it."""
    usual = _SPIKE * np.fmax(state.spread[:, i], state.usual[:, i])
    return np.where((state.changes[:, i] < _YOUNG) | (usual == 0), np.inf, usual).astype(np.float32)


def _most_lost(state: State, i: int) -> Floats:
    """Return [series], what one error counts for at most: a spike that none foresaw must not hide who is right."""
    usual = np.fmax(_SPIKE * state.losses[:, i, 0], state.usual[:, i])
    return np.where(state.heard[:, i, 0] < _YOUNG, np.inf, usual).astype(np.float32)


def _calibrate_upper(state: State, i: int, past: Past, due: Due, plan: Plan) -> None:
    """Score each way to say a quantile, and move it by whether it was passed."""
    levels = np.array(plan.levels, np.float32)[:, None]
    low, high = past.low[:, None, None], past.high[:, None, None]
    short = np.where(past.measured[:, None, None], np.clip(due.said, low, high) - due.said, np.nan)
    loss = np.maximum(levels * short, (levels - 1.0) * short)
    state.upper[:, i] = selection.decayed(state.upper[:, i], loss, state.heard[:, i, -1], _UPPER_MEMORY, _HASTE)
    calibration.correct(state.shift[:, i], _hits(short[..., 0]), plan.levels)
    over = _hits(short[..., 1])
    state.nudge[:, i] += np.nan_to_num(_NUDGE * (levels[:, 0] - over)) * (levels[:, 0] != MEDIAN)


def _hits(short: Floats) -> Floats:
    """Return 1 where nothing was ``short``, else 0; NaN where that is not known."""
    return np.where(np.isnan(short), np.nan, short <= 0).astype(np.float32)


def error_unit(size: Floats, spread: Floats) -> Floats:
    """Return [series], what errors are measured in: midway between their recent size and the spread.

    The spread alone is slow to see that a rhythm has been learned, the size alone is noisy.
    """
    recent = np.fmax(np.where(np.isnan(size), spread, size), _SIZE_FLOOR * spread)
    return np.asarray(np.fmax(np.sqrt(recent * spread), _SMALLEST), np.float32)
