"""When the training child runs, on which series, and what becomes of its answer."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from exporter.forecast import forests, networks, work
from exporter.forecast.demand import Demand
from exporter.forecast.drift import Drift
from exporter.forecast.engine import Engine
from exporter.forecast.exchange import NonsenseError
from exporter.forecast.handed import Handed, Named, found, named
from exporter.forecast.health import Health, Record
from exporter.forecast.relearn import relearn
from exporter.forecast.schedule import CAUSES, Schedule
from exporter.forecast.trainer import Answer, Failure, Trainer, failed
from exporter.history.windows import Floats, Grid, Integers
from exporter.persist.arrays import Arrays, fitting, under, within
from exporter.sections import ForecastConfig

_LONGEST_PASS = 600.0
_REST = 86400.0
"""Seconds for which a series that had its search comes after those that had none."""

_log = structlog.get_logger(__name__)


class Training:
    """Runs passes of the child, worst forecasts first, and puts its models into the engine's state."""

    def __init__(
        self, config: ForecastConfig, engine: Engine, clock: Callable[[], float], trainer: Trainer | None = None
    ) -> None:
        self._engine = engine
        self._trainer = trainer or Trainer(min(config.retrain_interval / 2, _LONGEST_PASS), clock)
        self._schedule = Schedule(config.retrain_interval)
        self._drift = Drift(engine.plan.resources, engine.plan.ahead)
        self._searches = config.max_series_per_training if config.arima and _installed() else 0
        self._fits = config.arima
        self._searched: NDArray[np.float64] = np.empty((0, engine.plan.resources))
        self._handed = Handed.nothing()
        self._record = Record()

    def arrange(self, rows: Integers) -> None:
        """Follow the engine's containers to ``rows`` of before; -1 stands for a new one."""
        self._drift.arrange(rows)
        never = np.full((1, self._engine.plan.resources), -np.inf)
        self._searched = np.concatenate([self._searched, never])[rows]

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved: when each series had its search, and how its habits stand."""
        return {"searched": self._searched} | under("drift", self._drift.export())

    def restore(self, arrays: Arrays, containers: int) -> None:
        """Take back what was saved of so many ``containers``; raise MismatchError."""
        self._searched = fitting(arrays, "searched", self._searched, containers)
        self._drift.restore(within("drift", arrays), containers)

    def observe(self, due: Floats, demand: Demand, now: int) -> None:
        """Watch how ``due`` [series, horizons], the medians forecast for column ``now``, met what came."""
        self._drift.observe(due, demand, now)

    def turn(self, grid: Grid, demand: Demand) -> None:
        """Take what the child has found, and start it again when it is time."""
        ended = self._trainer.poll()
        if ended is not None:
            self._end(ended, grid, demand)
        if self._trainer.busy:
            return
        drifted, unused = self._drift.drifted(), self._drift.unused()
        cause = self._schedule.cause(grid.end, drifted=bool(drifted.size), unused=bool(unused.size))
        if cause is not None:
            self._begin(cause, grid, demand)

    def health(self) -> Health:
        """Return how training has done."""
        return self._record.health()

    def close(self) -> None:
        """End the child, if one is at work."""
        self._trainer.close()

    def _begin(self, cause: str, grid: Grid, demand: Demand) -> None:
        drifted, unused = self._drift.drifted(), self._drift.unused()
        rows, searches = self._choose(cause, grid.end, demand)
        resources = self._engine.plan.resources
        self._handed = Handed(*(named(grid.lives, resources, series) for series in (rows, drifted, unused)))
        pooled = self._pooled(grid, demand) if cause == "schedule" else {}
        if not rows.size and not pooled:
            self._learn_anew(grid)
            return
        allowed = self._schedule.begin(grid.end, cause)
        self._record.began(cause)
        changed = np.isin(rows, np.union1d(drifted, unused))
        newest = np.where(changed, self._drift.since(rows), work.COLUMNS)
        series = work.history(demand, rows, newest)
        self._trainer.start(pooled | work.request(self._engine, series, rows, searches, allowed))

    def _pooled(self, grid: Grid, demand: Demand) -> dict[str, NDArray[Any]]:
        """Return what the child learns from over all series at once."""
        return forests.request(self._engine) | networks.request(self._engine, demand, round(grid.end / grid.step))

    def _choose(self, cause: str, now: float, demand: Demand) -> tuple[Integers, int]:
        """Return the series of a pass, and how many of them are searched; out of turn, only those that changed."""
        if not self._fits:
            return np.empty(0, np.int64), 0
        changed = np.union1d(self._drift.drifted(), self._drift.unused())
        rested = ~(np.abs(now - self._searched.ravel()) < _REST)
        rows, searches = work.choose(self._engine, demand, work.Ranking(changed, rested, self._searches))
        if cause != "schedule":
            searches = int(np.isin(rows[:searches], changed).sum())
            rows = rows[np.isin(rows, changed)]
        return rows, searches

    def _end(self, ended: Answer | Failure, grid: Grid, demand: Demand) -> None:
        failure = self._adopt(ended, grid, demand) if isinstance(ended, Answer) else ended
        self._record.ended(grid.end, ended.cpu_seconds, failure.reason if failure else None)
        self._schedule.end(grid.end, ended.cpu_seconds, good=failure is None)

    def _adopt(self, answer: Answer, grid: Grid, demand: Demand) -> Failure | None:
        """Let each part of ``answer`` that can be believed serve, whatever became of the others."""
        tasks = [str(name) for name in answer.arrays.get("failed", np.empty(0)).ravel()]
        parts: list[Callable[[], None]] = [
            lambda: forests.install(self._engine, answer.arrays),
            lambda: networks.install(self._engine, demand, answer.arrays),
        ]
        if "fitting" not in tasks:
            parts.append(lambda: self._install(answer, grid, demand))
        nonsense = []
        for install in parts:
            try:
                install()
            except NonsenseError as error:
                nonsense.append(str(error))
        if nonsense:
            return failed("nonsense", answer.cpu_seconds, error="; ".join(nonsense))
        if tasks:
            return failed("died", answer.cpu_seconds, tasks=tasks, error=answer.complaint)
        return None

    def _install(self, answer: Answer, grid: Grid, demand: Demand) -> None:
        rows, models = work.models(answer.arrays, len(self._handed.series))
        series, alive = self._found(grid, self._handed.series[rows])
        work.install(self._engine, demand, series, models[alive])
        searched, _ = self._found(grid, self._handed.series[answer.arrays["searched"]])
        self._searched.reshape(-1)[searched] = grid.end
        self._learn_anew(grid)

    def _learn_anew(self, grid: Grid) -> None:
        """Let the series that changed when the pass began forget what they were."""
        for cause, those in zip(CAUSES[1:], (self._handed.drifted, self._handed.unused), strict=True):
            series, _ = self._found(grid, those)
            self._record.learned_anew(cause, len(series))
        changed, _ = self._found(grid, np.concatenate([self._handed.drifted, self._handed.unused]))
        changed = np.unique(changed)
        relearn(self._engine.flat(), changed)
        self._drift.settle(changed)

    def _found(self, grid: Grid, those: Named) -> tuple[Integers, NDArray[np.bool_]]:
        return found(grid.lives, self._engine.plan.resources, those)


def _installed() -> bool:
    if importlib.util.find_spec("pmdarima") is not None:
        return True
    _log.warning("pmdarima is not installed; forecasts go on without new ARIMA orders")
    return False
