from collections.abc import Callable

import numpy as np
import pytest

from exporter.forecast.demand import prepare
from exporter.forecast.forecaster import Forecaster
from exporter.history.signals import RESOURCES
from exporter.history.windows import Grid
from exporter.sections import ForecastConfig

CONFIG = ForecastConfig(step=2.5, horizons=(10.0, 20.0, 30.0), min_history=60.0, arima=False)
CPU = RESOURCES.index("cpu")
COLUMNS = 200
CAP = 0.1


def wanted(mean: float) -> np.ndarray:
    """A known demand, with a little noise."""
    return mean * (1 + 0.03 * np.random.default_rng(6).normal(size=(1, COLUMNS)))


def capped_from(demand: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is seen of ``demand`` under a quota that is set at ``column``: use, ceiling, and where it is censored."""
    held = (np.arange(COLUMNS) >= column) & (demand > CAP)
    return np.where(held, CAP, demand), demand, held


@pytest.mark.parametrize("column", [0, 100])
def test_the_forecast_follows_the_demand_and_not_the_quota(feed: Callable, column: int) -> None:
    forecaster = Forecaster(CONFIG)
    seen, ceilings, censored = capped_from(wanted(0.3), column)
    said = feed(forecaster, seen, range(COLUMNS), ceilings=ceilings, censored=censored)
    free = feed(Forecaster(CONFIG), wanted(0.3), range(COLUMNS))
    median = said.quantiles[0, CPU, :, 0]
    np.testing.assert_allclose(median, free.quantiles[0, CPU, :, 0], rtol=0.3)
    assert (median > 2 * CAP).all()
    assert np.isnan(said.coverage[0, CPU]).all() == (column == 0)


@pytest.mark.parametrize("ceiling", [0.1, 0.3])
def test_a_use_as_small_as_the_quota_stays_what_is_forecast_where_nothing_is_censored(
    feed: Callable, ceiling: float
) -> None:
    said = feed(Forecaster(CONFIG), wanted(CAP), range(COLUMNS), ceilings=np.full((1, COLUMNS), ceiling))
    np.testing.assert_allclose(said.quantiles[0, CPU, :, 0], CAP, rtol=0.1)
    assert said.quantiles[0, CPU].max() < 1.5 * CAP


def test_after_the_quota_is_gone_the_forecast_is_what_is_used_again(feed: Callable) -> None:
    demand = wanted(0.3)
    demand[:, 100:] = CAP
    held = np.broadcast_to(np.arange(COLUMNS) < 100, demand.shape)
    said = feed(
        Forecaster(CONFIG),
        np.where(held, CAP, demand),
        range(COLUMNS),
        ceilings=np.where(held, 0.3, demand),
        censored=held,
    )
    np.testing.assert_allclose(said.quantiles[0, CPU, :, 0], CAP, rtol=0.1)


def test_what_the_models_see_is_the_ceiling_and_no_censored_sample_counts_as_measured() -> None:
    seen, ceilings, censored = (
        part[:, None].astype(kind)
        for part, kind in zip(capped_from(wanted(0.3), 0), (np.float32, np.float32, np.bool_), strict=True)
    )
    one = np.array([1])
    demand = prepare(Grid(2.5, 2.5 * (COLUMNS - 1), one, one, seen, ceilings, censored))
    np.testing.assert_allclose(demand.values[0, 10:], ceilings[0, 0, 10:])
    np.testing.assert_array_equal(demand.low[0], np.float32(CAP))
    assert not demand.measured.any()


def first_trusted(forecaster: Forecaster, grid_of: Callable, cpu: np.ndarray, **bounds: np.ndarray) -> int:
    """The first column after which the forecast is trusted."""
    said = (forecaster.observe(grid_of(cpu, now, [0], [0], **bounds)).trusted[0, CPU] for now in range(COLUMNS))
    return next(column for column, trusted in enumerate(said) if trusted)


def test_a_demand_that_is_held_back_half_of_the_time_is_trusted_as_soon_as_a_free_one(grid_of: Callable) -> None:
    busy = np.arange(COLUMNS) % 20 < 10
    demand = np.where(busy, 0.3, 0.05) * wanted(1.0)
    free = first_trusted(Forecaster(CONFIG), grid_of, demand)
    capped = first_trusted(
        Forecaster(CONFIG), grid_of, np.where(busy, CAP, demand), ceilings=demand, censored=busy[None, :]
    )
    assert capped <= free + 5
