"""One step of the forecast for all series at once: score what fell due, learn from it, forecast anew."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.forecast import arima, calibration, learning, regression, selection
from exporter.forecast.demand import Demand
from exporter.forecast.learning import Past, Plan
from exporter.forecast.pending import Pending
from exporter.forecast.saved import export_state, restored_state
from exporter.forecast.season import detect_periods
from exporter.forecast.state import MEMBERS, SCORED, State, empty, gather, judge_anew
from exporter.history.windows import Floats, Integers
from exporter.persist.arrays import Arrays, under, within

_CONSTANT_RUN = 20
"""After so many equal columns the last value is forecast exactly."""
_SHARE = 16
"""Coefficients and bounds are renewed for one such share of the series each step."""
_POOL_ROWS = 64
_LIVED_THROUGH = 4


@dataclass(frozen=True)
class Outlook:
    """What one step leaves: per series, in the units of the resource."""

    quantiles: Floats
    """[series, horizons, levels]"""
    due: Floats
    """[series, horizons], the median that was forecast for this step's column; NaN where none was."""


class Engine:
    """Holds the state of all series; rows are moved by ``arrange``, columns are fed by ``step``."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = self._blank(0)
        self._pending = [Pending(ahead, 0, len(SCORED) + len(plan.levels)) for ahead in plan.ahead]
        self._turn = 0
        self._season_turn = 0

    def arrange(self, rows: Integers) -> None:
        """Keep the containers ``rows`` of the state in this order; -1 stands for a new one."""
        kept = self.state if len(self.state.run) else self._blank(1)
        self.state = gather(kept, np.maximum(rows, 0))
        new = np.flatnonzero(rows < 0)
        for name, fresh in vars(self._blank(len(new))).items():
            getattr(self.state, name)[new] = fresh
        series = rows[:, None] * self.plan.resources + np.arange(self.plan.resources)
        for pending in self._pending:
            pending.gather(np.where(rows[:, None] < 0, -1, series).ravel())

    def _blank(self, containers: int) -> State:
        return empty(containers, self.plan.resources, len(self.plan.ahead), len(self.plan.levels))

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        waiting = (under(f"pending{i}", pending.export()) for i, pending in enumerate(self._pending))
        return under("state", export_state(self.state)) | {k: v for part in waiting for k, v in part.items()}

    def restore(self, arrays: Arrays, containers: int) -> None:
        """Take back what was saved of so many ``containers``; raise MismatchError."""
        self.state = restored_state(within("state", arrays), self._blank(0), containers)
        for i, pending in enumerate(self._pending):
            pending.restore(within(f"pending{i}", arrays), containers * self.plan.resources)

    def flat(self) -> State:
        """Return the state with a row per series instead of per container; the arrays share memory."""
        return State(**{name: array.reshape(-1, *array.shape[2:]) for name, array in vars(self.state).items()})

    def step(self, demand: Demand, now: int, column: int) -> Outlook:
        """Take in column ``now`` of ``demand``, whose absolute number is ``column``, and forecast from it."""
        start = max(now + 1 - self.plan.window, 0)
        past = Past(
            demand.values[:, start : now + 1],
            np.maximum(demand.first - start, 0),
            demand.measured[:, now] & (demand.first <= now),
            demand.low[:, now],
            demand.high[:, now],
        )
        state = self.flat()
        due = self._score(state, past, column)
        self._renew(state, past)
        quantiles = self._forecast(state, past, column)
        return Outlook(quantiles, due)

    def _score(self, state: State, past: Past, column: int) -> Floats:
        """Measure what falls due and learn from it; return its medians."""
        learning.notice(state, past)
        medians = np.full((len(past.first), len(self.plan.ahead)), np.nan, np.float32)
        for i, ahead in enumerate(self.plan.ahead):
            due = self._pending[i].due(column)
            medians[:, i] = due[:, SCORED.index("served")]
            if past.newest >= ahead:
                learning.learn(state, i, past, due, self.plan)
                learning.calibrate(state, i, past, due, self.plan, column)
        return medians

    def _turns(self, turn: int, size: int, series: int) -> tuple[Integers, int]:
        """Return the rows whose turn it is, beginning at ``turn``, and whose it is next."""
        size = min(size, series)
        return (turn + np.arange(size)) % max(series, 1), (turn + size) % max(series, 1)

    def _renew(self, state: State, past: Past) -> None:
        """Renew periods, coefficients and bounds of the series whose turn it is."""
        series, resources = len(past.first), self.plan.resources
        rows, self._turn = self._turns(self._turn, max(series // _SHARE, 24), series)
        levels = np.array(self.plan.levels, np.float32)
        for i in range(len(self.plan.ahead)):
            prior = regression.pooled(state.sums[:, i], resources)
            state.coefficients[rows, i] = regression.solve(state.sums[rows, i], prior[rows % resources])
            pool = calibration.pool_sample(state.errors[:: max(series // _POOL_ROWS, 1), i])
            shifted = levels + state.shift[rows, i]
            state.bounds[rows, i] = calibration.quantiles(state.errors[rows, i], pool, shifted)
        few = max(len(rows) // 2, 3000 // (past.newest + 1), 1)
        seasons, self._season_turn = self._turns(self._season_turn, few, series)
        self._find_periods(state, past, seasons)

    def _find_periods(self, state: State, past: Past, rows: Integers) -> None:
        """Renew the periods; one inherited stands until the container has lived through it itself.

        Where the first rhythm is found, what was lost before it was known says little of what comes.
        """
        found = detect_periods(past.values[rows], past.first[rows])
        young = past.newest + 1 - past.first[rows] < _LIVED_THROUGH * state.period[rows]
        never_tried = (state.heard[rows, :, MEMBERS.index("season")] == 0).all(axis=1)
        first_time = (state.period[rows] == 0) & (found > 0) & never_tried
        state.period[rows] = np.where((found == 0) & young, state.period[rows], found)
        judge_anew(state, rows[first_time], self.plan.ahead)

    def _forecast(self, state: State, past: Past, column: int) -> Floats:
        model = arima.unpack(state.model)
        state.shocks[:] = np.nan_to_num(arima.absorb(model, past.values, state.shocks, past.newest))
        by_arima = arima.forecast(model, past.values, state.shocks, past.newest, self.plan.ahead)
        current = past.values[:, -1]
        out = np.empty((len(current), len(self.plan.ahead), len(self.plan.levels)), np.float32)
        for i, ahead in enumerate(self.plan.ahead):
            inputs = regression.features(past.values, past.first, past.newest, ahead, state.period, self.plan.day)
            change = (np.nan_to_num(inputs) * state.coefficients[:, i]).sum(axis=1)
            members = np.stack(
                [current, current + inputs[:, -4], current + inputs[:, -1], current + change, by_arima[:, i]], axis=1
            ).astype(np.float32)
            np.maximum(members, np.minimum(state.lowest, 0.0)[:, None], out=members)
            blended = selection.blend(members, state.losses[:, i], state.heard[:, i])
            served = self._serve(state, i, current, blended)
            out[:, i] = self._quantiles(state, i, served)
            scored = np.stack([*members.T, blended, served], axis=1)
            self._pending[i].push(column, np.concatenate([scored, out[:, i]], axis=1))
        return out

    def _serve(self, state: State, i: int, current: Floats, blended: Floats) -> Floats:
        losses = state.losses[:, i]
        blend_loss, last_loss = losses[:, SCORED.index("blend")], losses[:, MEMBERS.index("last")]
        state.guarded[:, i] = selection.guard(state.guarded[:, i], blend_loss, last_loss)
        return np.where(state.guarded[:, i] | (state.run >= _CONSTANT_RUN), current, blended)

    def _quantiles(self, state: State, i: int, served: Floats) -> Floats:
        """Return [series, levels]: ``served`` at .5, above it no less, below it no more."""
        levels = np.array(self.plan.levels)
        offsets = state.bounds[:, i] * learning.error_unit(state.size[:, i], state.spread[:, i])[:, None]
        offsets = np.where(levels > 0.5, np.maximum(offsets, 0.0), np.minimum(offsets, 0.0)) * (levels != 0.5)
        raised = np.maximum.accumulate(served[:, None] + offsets, axis=1)
        return np.asarray(np.maximum(raised, np.minimum(state.lowest, 0.0)[:, None]), np.float32)
