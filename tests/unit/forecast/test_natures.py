"""What is known of each resource beforehand holds for what is published of it."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.forecast.forecaster import Forecaster
from exporter.history.signals import RESOURCES
from exporter.history.windows import Grid
from exporter.sections import ForecastConfig

CONFIG = ForecastConfig(step=60.0, horizons=(300.0, 900.0, 1800.0), min_history=1800.0, arima=False)
AHEAD = (5, 15, 30)
COLUMNS = 300
LOOKS = 60
MIB = 2.0**20
BUSY, GROWING, BATCH = range(3)


def loads() -> np.ndarray:
    """[containers, resources, time]: one of everything, one whose memory grows, one whose memory falls each hour."""
    random, time = np.random.default_rng(12), np.arange(COLUMNS)
    bursts = np.where(
        random.random(COLUMNS) < 0.15, random.gamma(2.0, 5 * MIB, COLUMNS), random.gamma(1.0, 1e3, COLUMNS)
    )
    values = np.full((3, len(RESOURCES), COLUMNS), np.nan, np.float32)
    for name, load in {
        "cpu": 0.4 + 0.05 * random.normal(size=COLUMNS),
        "memory": 200 * MIB + MIB * np.cumsum(random.random(COLUMNS) < 0.1),
        "disk_io": bursts,
        "network_io": np.maximum(np.linspace(MIB, -0.2 * MIB, COLUMNS), 0.0),
        "file_descriptors": 40 + np.abs(np.cumsum(random.integers(-1, 2, COLUMNS))),
        "threads": 20 + np.abs(np.cumsum(random.integers(-1, 2, COLUMNS))),
    }.items():
        values[BUSY, RESOURCES.index(name)] = load
    memory = RESOURCES.index("memory")
    values[GROWING, memory] = 100 * MIB + 0.5 * MIB * time * (1 + 1e-4 * random.normal(size=COLUMNS))
    values[BATCH, memory] = np.where(time % 60 < 40, 300, 100) * MIB * (1 + 0.002 * random.normal(size=COLUMNS))
    return values


@pytest.fixture(scope="module")
def said() -> np.ndarray:
    """[looks, containers, resources, horizons, levels], the quantiles at the last columns."""
    values, numbers = loads(), np.arange(3)
    forecaster, found = Forecaster(CONFIG), []
    grid = Grid(60.0, 1.8e9, numbers, numbers, values, values, np.zeros(values.shape, np.bool_))
    for back in range(LOOKS - 1, -1, -1):
        shown = np.full(values.shape, np.nan, np.float32)
        shown[..., back:] = values[..., : COLUMNS - back]
        seen = forecaster.observe(replace(grid, end=grid.end - 60 * back, values=shown, ceilings=shown))
        found.append(seen.quantiles)
    forecaster.close()
    return np.array(found)


def of(said: np.ndarray, resource: str, container: int = BUSY) -> np.ndarray:
    return said[:, container, RESOURCES.index(resource)]


def test_bursts_are_never_forecast_negative_and_the_upper_quantile_knows_them(said: np.ndarray) -> None:
    quantiles = of(said, "disk_io")
    assert (quantiles >= 0).all()
    assert np.median(quantiles[..., 0]) < 2 * MIB
    assert np.median(quantiles[..., 2]) > 2 * MIB


def test_traffic_that_falls_to_nothing_is_forecast_as_nothing_not_less(said: np.ndarray) -> None:
    quantiles = of(said, "network_io")
    assert (quantiles >= 0).all()
    assert (quantiles[-1, :, 0] < 0.05 * MIB).all()


@pytest.mark.parametrize("resource", ["file_descriptors", "threads"])
def test_descriptors_and_threads_are_whole_numbers_with_room_above(said: np.ndarray, resource: str) -> None:
    quantiles = of(said, resource)
    np.testing.assert_array_equal(quantiles, np.rint(quantiles))
    assert (quantiles[..., 2] > quantiles[..., 0]).mean() > 0.5


def test_cpu_is_not_rounded(said: np.ndarray) -> None:
    assert (of(said, "cpu") % 1 > 0).all()


def test_memory_that_has_only_ever_grown_is_not_forecast_to_fall(said: np.ndarray) -> None:
    newest = loads()[BUSY, RESOURCES.index("memory"), -LOOKS:]
    assert (of(said, "memory") >= 0.999 * newest[:, None, None]).all()


def test_memory_that_grows_steadily_is_forecast_to_go_on(said: np.ndarray) -> None:
    grown = of(said, "memory", GROWING)[-1, :, 0] - loads()[GROWING, RESOURCES.index("memory"), -1]
    np.testing.assert_allclose(grown, [0.5 * MIB * ahead for ahead in AHEAD], rtol=0.5)


def test_memory_that_does_fall_each_hour_is_forecast_to_fall(said: np.ndarray) -> None:
    medians = of(said, "memory", BATCH)[:, 1, 0]
    before_the_fall = [at for at in range(LOOKS) if 25 <= (COLUMNS - LOOKS + at) % 60 < 40]
    assert (medians[before_the_fall] < 250 * MIB).mean() > 0.5
