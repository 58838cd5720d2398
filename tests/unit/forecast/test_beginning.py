"""How a container starts, and what that counts for later."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from exporter.forecast.forecaster import Forecast, Forecaster
from exporter.history.signals import RESOURCES
from exporter.history.windows import Grid
from exporter.sections import ForecastConfig

CONFIG = ForecastConfig(step=2.5, horizons=(10.0, 20.0, 30.0), min_history=60.0, arima=False)
CPU = RESOURCES.index("cpu")
CALM = 0.02
CONTAINERS = 10


def begun(samples: list[float], columns: int = 80) -> np.ndarray:
    """Calm containers that begin with ``samples``."""
    load = CALM * (1 + 0.025 * np.random.default_rng(1).normal(size=(CONTAINERS, columns)))
    load[:, : len(samples)] = samples
    return load


@pytest.fixture
def forecaster() -> Iterator[Forecaster]:
    made = Forecaster(CONFIG)
    yield made
    made.close()


@pytest.mark.parametrize("samples", [[CALM], [0.06], [0.0, 0.005], [0.2, 0.1, 0.06]])
def test_a_calm_container_is_soon_trusted_however_it_began(
    forecaster: Forecaster, feed: Callable[..., Forecast], samples: list[float]
) -> None:
    assert feed(forecaster, begun(samples), range(80)).trusted[:, CPU].mean() > 0.85


def test_no_container_is_trusted_before_it_was_compared_for_as_long_as_is_asked(
    forecaster: Forecaster, feed: Callable[..., Forecast]
) -> None:
    load = np.full((1, 60), CALM)
    beginning, longest, asked = 3, 12, 24
    assert not feed(forecaster, load, range(beginning + longest + asked - 1)).trusted[0, CPU]
    assert feed(forecaster, load, range(beginning + longest + asked - 1, beginning + longest + asked)).trusted[0, CPU]


def test_a_container_has_a_forecast_from_its_first_sample_on(
    forecaster: Forecaster, grid_of: Callable[..., Grid]
) -> None:
    load = begun([0.2, 0.1, 0.06])[:1]
    for now in range(6):
        said = forecaster.observe(grid_of(load, now, [0], [0]))
        np.testing.assert_allclose(said.quantiles[0, CPU, :, 0], load[0, now], rtol=1e-6)


def test_a_load_that_is_odd_in_the_middle_of_a_life_counts(
    forecaster: Forecaster, feed: Callable[..., Forecast]
) -> None:
    load = begun([CALM])
    load[:, 40:43] = [0.2, 0.1, 0.06]
    assert feed(forecaster, load, range(80)).trusted[:, CPU].mean() < 0.5
