"""One step of the forecast for all series at once: score what fell due, learn from it, forecast anew."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.forecast import calibration, learning, members, quantiles, recurrent, regression, selection, week
from exporter.forecast.demand import Demand
from exporter.forecast.features import FEATURES, Shared, common, features
from exporter.forecast.learning import Due, Past
from exporter.forecast.pending import Pending
from exporter.forecast.plan import MEDIAN, Plan
from exporter.forecast.recurrent import Network
from exporter.forecast.samples import Samples
from exporter.forecast.saved import export_state, restored_state
from exporter.forecast.season import detect_periods
from exporter.forecast.sequences import INPUTS
from exporter.forecast.state import MEMBERS, SCORED, STANDING, State, empty, gather, judge_anew
from exporter.forecast.trees import Forest, restored
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
        self.samples = [Samples(ahead, FEATURES, plan.day) for ahead in plan.ahead]
        self.forests: list[Forest | None] = [None] * len(plan.ahead)
        self.network: Network | None = None
        self._pending = [Pending(ahead, 0, Due.items(len(plan.levels))) for ahead in plan.ahead]
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
        moved = np.where(rows[:, None] < 0, -1, series).ravel()
        for pending, samples in zip(self._pending, self.samples, strict=True):
            pending.gather(moved)
            samples.gather(moved)

    def _blank(self, containers: int) -> State:
        plan = self.plan
        return empty(containers, plan.resources, len(plan.ahead), len(plan.levels), plan.slots)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        arrays = under("state", export_state(self.state))
        for i, (pending, samples, forest) in enumerate(zip(self._pending, self.samples, self.forests, strict=True)):
            arrays |= under(f"pending{i}", pending.export()) | under(f"samples{i}", samples.export())
            arrays |= {} if forest is None else under(f"forest{i}", vars(forest))
        return arrays | ({} if self.network is None else under("network", vars(self.network)))

    def restore(self, arrays: Arrays, containers: int) -> None:
        """Take back what was saved of so many ``containers``; raise MismatchError."""
        self.state = restored_state(within("state", arrays), self._blank(0), containers)
        for i, pending in enumerate(self._pending):
            pending.restore(within(f"pending{i}", arrays), containers * self.plan.resources)
            self.samples[i].restore(within(f"samples{i}", arrays))
            self.forests[i] = restored(within(f"forest{i}", arrays), len(self.plan.levels), FEATURES)

        self.network = recurrent.restored(within("network", arrays), INPUTS, len(self.plan.ahead))

    def flat(self) -> State:
        """Return the state with a row per series instead of per container; the arrays share memory."""
        return State(**{name: array.reshape(-1, *array.shape[2:]) for name, array in vars(self.state).items()})

    def step(self, demand: Demand, now: int, column: int) -> Outlook:
        """Take in column ``now`` of ``demand``, whose absolute number is ``column``, and forecast from it."""
        start = max(now + 1 - self.plan.window, 0)
        seen = now - demand.values.shape[1]
        past = Past(
            demand.values[:, start : now + 1],
            np.maximum(demand.first - start, 0),
            demand.measured[:, seen] & (demand.first <= now),
            demand.low[:, seen],
            demand.high[:, seen],
            column,
        )
        state = self.flat()
        week.absorb(state, past.values[:, -1], column, self.plan.slot)
        due = self._score(state, past)
        self._renew(state, past)
        return Outlook(self._forecast(state, past), due)

    def _score(self, state: State, past: Past) -> Floats:
        """Measure what falls due and learn from it; return its medians."""
        learning.notice(state, past)
        medians = np.full((len(past.first), len(self.plan.ahead)), np.nan, np.float32)
        for i, ahead in enumerate(self.plan.ahead):
            due = Due.of(self._pending[i].due(past.column), len(self.plan.levels))
            medians[:, i] = due.scored[:, SCORED.index("served")]
            self.samples[i].learn(past)
            if past.newest >= ahead:
                learning.learn(state, i, past, due, self.plan)
                learning.calibrate(state, i, past, due, self.plan)
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

    def _forecast(self, state: State, past: Past) -> Floats:
        current, shared = past.values[:, -1], common(state, past, self.plan)
        floor, ceiling = members.within_reason(state, past)
        base = members.simple(state, past, self.plan, self.network)
        out = np.empty((len(current), len(self.plan.ahead), len(self.plan.levels)), np.float32)
        for i in range(len(self.plan.ahead)):
            boosted = self._boost(shared, base[i], state, i, past)
            medians = np.concatenate([base[i], boosted[:, self._middle]], axis=1)
            np.clip(medians, floor[:, None], ceiling[:, None], out=medians)
            blended = selection.blend(medians, state.losses[:, i], state.heard[:, i])
            served = self._serve(state, i, current, blended)
            said = np.stack([quantiles.by_errors(state, i, served), boosted], axis=2)
            out[:, i] = quantiles.publish(state, i, served, said, self.plan.levels)
            scored = np.stack([*medians.T, blended, served], axis=1)
            items = [scored, out[:, i], said.reshape(len(said), math.prod(said.shape[1:]))]
            self._pending[i].push(past.column, np.concatenate(items, axis=1))
        return out

    @property
    def _middle(self) -> list[int]:
        return [self.plan.levels.index(MEDIAN)]

    def _boost(self, shared: Shared, base: Floats, state: State, i: int, past: Past) -> Floats:
        """Return [series, levels] by the trees, NaN before there are any; keep some of what they are told."""
        told = features(shared, base, state, i, past, self.plan)
        unit, current = state.spread[:, i], past.values[:, -1]
        self.samples[i].draw(past.column, told, unit, state.usual[:, i], current)
        forest = self.forests[i]
        if forest is None:
            return np.full((len(current), len(self.plan.levels)), np.nan, np.float32)
        change = forest.predict(told) + state.nudge[:, i]
        return np.asarray(current[:, None] + change * unit[:, None], np.float32)

    def _serve(self, state: State, i: int, current: Floats, blended: Floats) -> Floats:
        last, blend = (
            np.stack([state.losses[:, i, m], state.standing[:, i, k]], axis=1) for k, m in enumerate(STANDING)
        )
        followed = np.where(state.run >= _CONSTANT_RUN, 0.0, selection.faith(blend, last))
        return np.asarray(current + followed * (blended - current), np.float32)
