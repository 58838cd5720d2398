"""When the training child runs, on which series, and what becomes of its models."""

from collections.abc import Callable

import numpy as np

from exporter.config import ForecastConfig
from exporter.forecast import arima
from exporter.forecast.demand import Demand
from exporter.forecast.engine import Engine
from exporter.forecast.state import SCORED
from exporter.forecast.trainer import Trained, Trainer
from exporter.history.windows import Floats, Grid, Integers

COLUMNS = 400
"""Newest columns that a model is fitted to."""
FEWEST = 60
"""Columns that a series must have for a model."""
_LONGEST_PASS = 600.0


class Training:
    """Runs a pass each retrain interval, worst forecasts first, and puts its models into the engine's state."""

    def __init__(self, config: ForecastConfig, engine: Engine, clock: Callable[[], float]) -> None:
        self._config = config
        self._engine = engine
        self._trainer = Trainer(min(config.retrain_interval / 2, _LONGEST_PASS), clock)
        self._handed: Integers = np.empty((0, 2), np.int64)
        self._began = -np.inf

    def turn(self, grid: Grid, demand: Demand) -> None:
        """Take what the child has found, and start it again when it is time."""
        trained = self._trainer.poll()
        if trained is not None:
            self._adopt(trained, grid, demand)
        due = grid.end - self._began >= self._config.retrain_interval
        if self._config.arima and due and not self._trainer.busy:
            self._begin(grid, demand)

    def close(self) -> None:
        """End the child, if one is at work."""
        self._trainer.close()

    def _begin(self, grid: Grid, demand: Demand) -> None:
        rows = worst(self._engine, demand)[: self._config.max_series_per_training]
        if rows.size:
            self._began = grid.end
            container, resource = np.divmod(rows, self._engine.plan.resources)
            self._handed = np.stack([grid.lives[container], resource], axis=1)
            self._trainer.start(history(demand, rows))

    def _adopt(self, trained: Trained, grid: Grid, demand: Demand) -> None:
        where = {int(life): row for row, life in enumerate(grid.lives)}
        handed = self._handed[trained.row]
        alive = np.array([int(life) in where for life in handed[:, 0]], np.bool_)
        containers = np.array([where[int(life)] for life in handed[alive, 0]], np.int64)
        install(self._engine, demand, containers * self._engine.plan.resources + handed[alive, 1], trained.model[alive])


def worst(engine: Engine, demand: Demand) -> Integers:
    """Return the series that moved and have history enough, those with most of last value's loss left first."""
    state = engine.flat()
    long_enough = demand.values.shape[1] - demand.first >= FEWEST
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (state.losses[..., SCORED.index("served")] / state.losses[..., 0]).mean(axis=1)
    rows = np.flatnonzero(long_enough & (state.spread > 0).any(axis=1))
    return rows[np.argsort(-np.nan_to_num(left[rows], nan=np.inf), kind="stable")]


def history(demand: Demand, rows: Integers) -> Floats:
    """Return [rows, COLUMNS or fewer], NaN before the first sample: what the child is given."""
    start = max(demand.values.shape[1] - COLUMNS, 0)
    known = np.arange(start, demand.values.shape[1]) >= demand.first[rows, None]
    return np.where(known, demand.values[rows, start:], np.nan)


def install(engine: Engine, demand: Demand, series: Integers, models: arima.Doubles) -> None:
    """Let ``models`` [series, arima.WIDTH] serve ``series``, with the shocks they would have seen."""
    state = engine.flat()
    newest = demand.values.shape[1] - 1
    state.model[series] = models
    state.shocks[series] = np.nan_to_num(
        arima.warm_up(arima.unpack(models), demand.values[series], newest, COLUMNS // 2)
    )
