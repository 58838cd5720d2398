"""Who is who: moves the engine's rows as containers come and go, and lets workloads inherit."""

import math
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.demand import Demand, prepare, settled
from exporter.forecast.engine import Engine
from exporter.forecast.heritage import Heritage
from exporter.forecast.saved import export_state, restored_state
from exporter.forecast.state import State, bequeath, gather
from exporter.history.windows import Grid, Integers
from exporter.persist.arrays import Arrays, fitting, under, within

_KEPT_WORKLOADS = 64
"""Workloads without a container whose state is kept; the least recently left goes first."""

_ROUNDING = 1e-6
"""Columns: as where they are observed."""

_INHERITED_ERRORS = 20
"""Errors that inherited losses count for: a replica that behaves otherwise must outweigh them soon."""


class Lineage:
    """Keeps the engine's rows in the order of the grid's lives."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lives = np.empty(0, np.int64)
        self._workloads = np.empty(0, np.int64)
        self._left: OrderedDict[int, State] = OrderedDict()
        self._received: set[int] = set()
        self._heritage = Heritage(engine.plan.resources, _KEPT_WORKLOADS)

    def follow(self, lives: Integers, workloads: Integers) -> Integers | None:
        """Arrange the engine for ``lives``; return each one's row before (-1 if new), or None if nothing moved."""
        if np.array_equal(lives, self._lives):
            return None
        where = {int(life): row for row, life in enumerate(self._lives)}
        rows = np.array([where.get(int(life), -1) for life in lives], np.int64)
        for row in sorted(set(range(len(self._lives))) - set(rows.tolist())):
            self._leave(row)
        self._engine.arrange(rows)
        self._lives, self._workloads = lives.copy(), workloads.copy()
        self._inherit(np.flatnonzero(rows < 0), rows)
        return rows

    def remembers(self, workload: int) -> bool:
        """Return whether the next container of ``workload`` inherits from one that went."""
        return workload in self._left

    def receive(self, workload: int, grid: Grid) -> None:
        """Learn from ``grid``, one row, what a container of ``workload`` did elsewhere; the next one here inherits."""
        demand, engine = settled(prepare(grid)), Engine(self._engine.plan)
        engine.arrange(np.array([-1], np.int64))
        engine.forests, engine.network = self._engine.forests, self._engine.network
        width, newest = demand.values.shape[1], math.floor(grid.end / grid.step + _ROUNDING)
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            for now in range(int(demand.first.min(initial=width)), width):
                engine.step(demand, now, newest - (width - 1 - now))
        self._left[workload] = engine.state
        self._left.move_to_end(workload)
        self._heritage.receive(workload, demand, newest)
        self._received.add(workload)

    def fill_in(self, demand: Demand, column: int) -> Demand:
        """Return ``demand``, whose newest column is ``column``, with the past that newcomers have from their elders.

        Those without one are known from where their beginning is over. The values are changed in place.
        """
        return settled(self._heritage.fill_in(demand, self._lives, column))

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved: who is in which row, and what the workloads without a container knew."""
        gone = [export_state(state) for state in self._left.values()]
        blank = export_state(gather(self._engine.state, np.empty(0, np.int64)))
        left = {name: np.concatenate([empty, *(state[name] for state in gone)]) for name, empty in blank.items()}
        who = {"lives": self._lives, "workloads": self._workloads, "gone": np.array(list(self._left), np.int64)}
        return who | under("left", left)

    def restore(self, arrays: Arrays) -> int:
        """Take back what was saved; return the number of containers. Raise MismatchError."""
        count, gone = (len(arrays.get(name, ())) for name in ("lives", "gone"))
        self._lives = fitting(arrays, "lives", self._lives, count)
        self._workloads = fitting(arrays, "workloads", self._workloads, count)
        left = restored_state(within("left", arrays), self._engine.state, gone)
        workloads = fitting(arrays, "gone", self._workloads, gone).tolist()
        self._left = OrderedDict((number, gather(left, np.array([row]))) for row, number in enumerate(workloads))
        return count

    def _leave(self, row: int) -> None:
        workload = int(self._workloads[row])
        if workload in self._received:
            return  # what came from elsewhere is more than it had in its first moments here
        self._heritage.leave(int(self._lives[row]), workload)
        if self._engine.state.filled[row].any():
            self._left[workload] = gather(self._engine.state, np.array([row]))
            self._left.move_to_end(workload)
        while len(self._left) > _KEPT_WORKLOADS:
            self._left.popitem(last=False)

    def _inherit(self, heirs: Integers, rows: Integers) -> None:
        """Give each heir the state of its most experienced living sibling, else of the last that went."""
        if not heirs.size:
            return
        state = self._engine.state
        experience = np.where(rows >= 0, state.filled.sum(axis=(1, 2)), -1)
        elders: dict[int, int] = {}
        for row in np.argsort(experience, kind="stable"):
            if rows[row] >= 0:
                elders[int(self._workloads[row])] = int(row)
        for heir in heirs:
            workload = int(self._workloads[heir])
            elder = int(self._lives[elders[workload]]) if workload in elders else None
            self._heritage.give(int(self._lives[heir]), elder, workload)
            if workload in elders:
                bequeath(state, heir, state, elders[workload])
            elif workload in self._left:
                bequeath(state, heir, self._left[workload], 0)
            self._received.discard(workload)
        state.heard[heirs] = np.minimum(state.heard[heirs], _INHERITED_ERRORS)
