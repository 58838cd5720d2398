from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exporter.forecast.forecaster import Forecast, Forecaster
from exporter.history.signals import RESOURCES
from exporter.history.windows import Grid

STEP = 2.5
WIDTH = 400


def _grid(cpu: np.ndarray, now: int, lives: Any, workloads: Any, **bounds: np.ndarray) -> Grid:
    """The columns up to ``now`` of ``cpu`` [containers, time] as the history would hand them over."""

    def window(rows: np.ndarray, blank: float | bool) -> np.ndarray:
        full = np.full((len(rows), len(RESOURCES), WIDTH), blank, rows.dtype)
        known = rows[:, max(now + 1 - WIDTH, 0) : now + 1]
        full[:, 0, WIDTH - known.shape[1] :] = known
        return full

    values = window(cpu.astype(np.float32), np.nan)
    ceilings = window(bounds.get("ceilings", cpu).astype(np.float32), np.nan)
    censored = window(bounds.get("censored", np.zeros(cpu.shape, np.bool_)), False)
    return Grid(STEP, STEP * now, np.asarray(lives), np.asarray(workloads), values, ceilings, censored)


@pytest.fixture
def grid_of() -> Callable[..., Grid]:
    return _grid


@pytest.fixture
def feed() -> Callable[..., Forecast]:
    def run(forecaster: Forecaster, cpu: np.ndarray, columns: range, **bounds: np.ndarray) -> Forecast:
        rows = np.arange(len(cpu))
        return [forecaster.observe(_grid(cpu, now, rows, rows, **bounds)) for now in columns][-1]

    return run
