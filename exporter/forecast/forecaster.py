"""The forecast of a node: follows containers as they come and go, and publishes what the engine says of them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.demand import Demand, mended
from exporter.forecast.engine import Engine, Outlook
from exporter.forecast.health import Health
from exporter.forecast.lineage import Lineage
from exporter.forecast.plan import Plan
from exporter.forecast.report import coverage, loss_ratio, seen, trusted
from exporter.forecast.training import Training
from exporter.history.signals import LEVELS, RESOURCES
from exporter.history.windows import Bools, Floats, Grid, Integers
from exporter.persist.arrays import Arrays, fitting, under, within
from exporter.sections import ForecastConfig

_WHOLE = [RESOURCES.index(name) for name in ("file_descriptors", "threads")]
_ROUNDING = 1e-6
"""Columns: keeps the number of a column steady where its end is a whole number of steps but for rounding."""
_REPLAYED = 300_000
"""Series × columns of history that are replayed at start, or after a long absence, some seconds of work."""
_FRESH = 5
"""Columns, at most, in which a series must have been seen for its forecast to be acted on."""


@dataclass(frozen=True)
class Forecast:
    """What is said of each container and workload; resources and horizons in the order of configuration."""

    lives: Integers
    """[containers], as in the grid"""
    quantiles: Floats
    """[containers, resources, horizons, LEVELS], rising; NaN for what was not seen within the longest horizon"""
    due: Floats
    """[containers, resources, horizons], median that was forecast for now; NaN if none was"""
    trusted: Bools
    """[containers, resources]"""
    workloads: Integers
    """[workloads], each once"""
    loss_ratio: Floats
    """[workloads, resources, horizons], mean absolute error over last value's; NaN if not measured"""
    coverage: Floats
    """[workloads, resources, horizons, 2], share of samples at or under the .9 and the .99 quantile"""
    training: Health


class Forecaster:
    """Fed with each new column of the grid; a node's own sum may be one more row, with its own life and workload."""

    def __init__(self, config: ForecastConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        plan = Plan.of(tuple(config.horizons), LEVELS, len(RESOURCES), config.step)
        self._engine = Engine(plan)
        self._lineage = Lineage(self._engine)
        self._training = Training(config, self._engine, clock)
        self._column: int | None = None
        self._outlook = Outlook(
            np.empty((0, len(plan.ahead), len(LEVELS)), np.float32), np.empty((0, len(plan.ahead)), np.float32)
        )

    def observe(self, grid: Grid) -> Forecast:
        """Take in the columns of ``grid`` since the last call, and forecast from its newest.

        The first call with samples replays the recent past, so that errors are measured from the start.
        """
        rows = self._lineage.follow(grid.lives, grid.workloads)
        if rows is not None:
            self._outlook = _rearranged(self._outlook, rows, len(RESOURCES))
            self._training.arrange(rows)
        column, (containers, resources, _) = math.floor(grid.end / grid.step + _ROUNDING), grid.values.shape
        most = self._most_missed(containers * resources, column)
        with mended(grid, max(most, *self._engine.plan.ahead)) as known:
            demand = self._lineage.fill_in(known, column)
            self._advance(demand, column)
            self._training.turn(grid, demand)
            return self._published(grid, known.low.reshape(containers, resources, known.low.shape[1]))

    def remembers(self, workload: int) -> bool:
        """Return whether the next container of ``workload`` begins with what one did here."""
        return self._lineage.remembers(workload)

    def receive(self, workload: int, grid: Grid) -> None:
        """Let the next container of ``workload`` begin with what one did elsewhere, the only row of ``grid``."""
        self._lineage.receive(workload, grid)

    def _advance(self, demand: Demand, column: int) -> None:
        """Take every step that is due up to ``column``, the newest of ``demand``."""
        width = demand.values.shape[1]
        # A series of 1e18 leaves float32 where it is squared; what then is no number is published as absent.
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            for back in range(self._missed(demand, column) - 1, -1, -1):
                self._outlook = self._engine.step(demand, width - 1 - back, column - back)
                self._training.observe(self._outlook.due, demand, width - 1 - back)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        column = np.array([-1 if self._column is None else self._column], np.int64)
        outlook = under("outlook", vars(self._outlook))
        parts = under("engine", self._engine.export()) | under("lineage", self._lineage.export())
        return {"column": column} | outlook | parts | under("training", self._training.export())

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved, into a forecaster that has observed nothing yet; raise MismatchError."""
        containers = self._lineage.restore(within("lineage", arrays))
        self._engine.restore(within("engine", arrays), containers)
        self._training.restore(within("training", arrays), containers)
        outlook, series = within("outlook", arrays), containers * len(RESOURCES)
        said = {name: fitting(outlook, name, array, series) for name, array in vars(self._outlook).items()}
        self._outlook = Outlook(**said)
        column = int(fitting(arrays, "column", np.empty(1, np.int64))[0])
        self._column = None if column < 0 else column

    def close(self) -> None:
        """End the training child, if one is at work."""
        self._training.close()

    def _most_missed(self, series: int, column: int) -> int:
        """Return how many steps of so many ``series`` are due up to ``column``, or caught up on."""
        most = max(_REPLAYED // max(series, 1), 1)
        return most if self._column is None else min(max(column - self._column, 0), most)

    def _missed(self, demand: Demand, column: int) -> int:
        series, width = demand.values.shape
        known, most = int(width) - int(demand.first.min(initial=width)), self._most_missed(int(series), column)
        new = known if self._column is None else int(width)
        if known:
            self._column = column
        return min(new, most)

    def _published(self, grid: Grid, measured: Floats) -> Forecast:
        state, containers = self._engine.state, len(grid.lives)
        shape = (containers, len(RESOURCES), *self._outlook.due.shape[1:])
        quantiles = self._outlook.quantiles.reshape(*shape, len(LEVELS)).copy()
        quantiles[:, _WHOLE, :, 0] = np.rint(quantiles[:, _WHOLE, :, 0])
        quantiles[:, _WHOLE, :, 1:] = np.ceil(quantiles[:, _WHOLE, :, 1:])
        ahead = self._engine.plan.ahead
        quantiles[~seen(measured, max(ahead))] = np.nan
        workloads, of = np.unique(grid.workloads, return_inverse=True)
        return Forecast(
            lives=grid.lives,
            quantiles=quantiles,
            due=self._outlook.due.reshape(shape),
            trusted=trusted(state, self._config.min_history / grid.step) & seen(measured, min(_FRESH, *ahead)),
            workloads=workloads,
            loss_ratio=loss_ratio(state, of, len(workloads)),
            coverage=coverage(state, of, len(workloads)),
            training=self._training.health(),
        )


def _rearranged(outlook: Outlook, rows: Integers, resources: int) -> Outlook:
    """Follow a new order of containers until the next step; new ones (-1) have no forecast yet."""
    series = np.where(rows[:, None] < 0, -1, rows[:, None] * resources + np.arange(resources)).ravel()

    def moved(array: Floats) -> Floats:
        padded = np.concatenate([array, np.full((1, *array.shape[1:]), np.nan, np.float32)])
        return padded[series]

    return Outlook(moved(outlook.quantiles), moved(outlook.due))
