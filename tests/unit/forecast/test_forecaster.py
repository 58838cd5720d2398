from collections.abc import Callable, Iterator

import numpy as np
import pytest

from exporter.forecast.forecaster import Forecaster
from exporter.history.signals import RESOURCES
from exporter.sections import ForecastConfig

CONFIG = ForecastConfig(step=2.5, horizons=(10.0, 20.0, 30.0), min_history=60.0, arima=False)
CPU = RESOURCES.index("cpu")


@pytest.fixture
def forecaster() -> Iterator[Forecaster]:
    made = Forecaster(CONFIG)
    yield made
    made.close()


def rhythm(columns: int, period: float = 24.0, noise: float = 0.02) -> np.ndarray:
    time = np.arange(columns)
    load = np.where(time % period < period / 2, 0.9, 0.1)
    return np.clip(load + np.random.default_rng(3).normal(size=columns) * noise, 0, None)[None]


def wander(columns: int, series: int = 1) -> np.ndarray:
    steps = np.random.default_rng(5).normal(size=(series, columns)) * 0.05
    return np.abs(5 + np.cumsum(steps, axis=1))


def test_a_rhythm_is_forecast_before_it_arrives_and_trusted(forecaster: Forecaster, feed: Callable) -> None:
    load = rhythm(260)
    said = feed(forecaster, load, range(200))
    median = said.quantiles[0, CPU, :, 0]
    coming = [load[0, 199 + ahead] for ahead in (4, 8, 12)]
    assert np.abs(median - coming).max() < 0.2
    assert abs(coming[0] - coming[2]) > 0.5
    assert said.trusted[0, CPU]
    assert (said.loss_ratio[0, CPU] < 0.6).all()


def test_a_random_walk_is_forecast_no_worse_than_by_last_value_and_not_trusted(
    forecaster: Forecaster, feed: Callable
) -> None:
    said = feed(forecaster, wander(300), range(300))
    assert (said.loss_ratio[0, CPU] < 1.1).all()
    assert not said.trusted[0, CPU]


def test_quantiles_rise_with_the_level_and_cover_what_they_say(forecaster: Forecaster, feed: Callable) -> None:
    said = feed(forecaster, wander(300, series=6), range(300))
    assert (np.diff(said.quantiles[:, CPU], axis=-1) >= 0).all()
    assert (said.quantiles[:, CPU] >= 0).all()
    assert 0.8 < said.coverage[:, CPU, :, 0].mean() < 0.96
    assert said.coverage[:, CPU, :, 1].mean() > 0.95


def test_a_constant_series_is_forecast_exactly(forecaster: Forecaster, feed: Callable) -> None:
    said = feed(forecaster, np.full((1, 120), 3.25), range(120))
    np.testing.assert_array_equal(said.quantiles[0, CPU], np.float32(3.25))
    assert said.trusted[0, CPU]


def test_what_was_never_seen_has_no_forecast(forecaster: Forecaster, feed: Callable) -> None:
    said = feed(forecaster, wander(50), range(50))
    assert np.isnan(said.quantiles[0, RESOURCES.index("memory")]).all()
    assert not said.trusted[0, RESOURCES.index("memory")]


def test_the_due_median_is_the_one_that_was_published_a_horizon_ago(forecaster: Forecaster, feed: Callable) -> None:
    load = rhythm(120)
    before = feed(forecaster, load, range(100))
    now = feed(forecaster, load, range(100, 104))
    assert now.due[0, CPU, 0] == before.quantiles[0, CPU, 0, 0]


def test_missed_columns_are_caught_up(forecaster: Forecaster, feed: Callable) -> None:
    load = rhythm(200)
    feed(forecaster, load, range(150))
    late = feed(forecaster, load, range(160, 161))
    prompt = Forecaster(CONFIG)
    np.testing.assert_array_equal(late.quantiles, feed(prompt, load, range(161)).quantiles)


def test_a_repeated_column_changes_nothing(forecaster: Forecaster, feed: Callable) -> None:
    load = rhythm(150)
    once = feed(forecaster, load, range(120))
    again = feed(forecaster, load, range(119, 120))
    np.testing.assert_array_equal(once.quantiles, again.quantiles)
    np.testing.assert_array_equal(once.coverage, again.coverage)


def test_backfilled_history_gives_a_trusted_forecast_at_once(forecaster: Forecaster, feed: Callable) -> None:
    assert feed(forecaster, rhythm(260), range(240, 241)).trusted[0, CPU]


def test_a_fresh_replica_starts_with_what_its_siblings_learned(forecaster: Forecaster, grid_of: Callable) -> None:
    load = np.vstack([rhythm(240), rhythm(240)])
    load[1, :200] = np.nan
    for now in range(200):
        forecaster.observe(grid_of(load[:1], now, [1], [7]))
    said = forecaster.observe(grid_of(load, 200, [1, 2], [7, 7]))
    state = forecaster._engine.state
    np.testing.assert_allclose(state.coefficients[0], state.coefficients[1], atol=0.02)
    assert state.period[1, CPU] == pytest.approx(24, abs=0.5)
    assert not said.trusted[1, CPU]
    assert len(said.workloads) == 1


def test_a_workload_keeps_its_experience_while_it_has_no_container(forecaster: Forecaster, grid_of: Callable) -> None:
    load = np.vstack([rhythm(240), wander(240)])
    for now in range(150):
        forecaster.observe(grid_of(load, now, [1, 2], [7, 8]))
    learned = forecaster._engine.state.errors[0].copy()
    load[0, :151] = np.nan
    forecaster.observe(grid_of(load[1:], 150, [2], [8]))
    forecaster.observe(grid_of(load, 151, [3, 2], [7, 8]))
    np.testing.assert_array_equal(forecaster._engine.state.errors[0], learned)


def test_a_stranger_inherits_nothing(forecaster: Forecaster, grid_of: Callable) -> None:
    load = np.vstack([rhythm(240), rhythm(240)])
    load[1, :100] = np.nan
    for now in range(100):
        forecaster.observe(grid_of(load[:1], now, [1], [7]))
    forecaster.observe(grid_of(load, 100, [1, 2], [7, 9]))
    assert (forecaster._engine.state.period[1] == 0).all()


def test_memory_stays_flat_while_containers_come_and_go(forecaster: Forecaster, grid_of: Callable) -> None:
    load = wander(60, series=3)
    for now in range(60):
        said = forecaster.observe(grid_of(load, now, np.arange(3) + now, np.arange(3) + 1000 * now))
    assert len(forecaster._engine.state.run) == len(said.lives) == 3


def test_nothing_to_forecast_is_no_error(forecaster: Forecaster, feed: Callable) -> None:
    said = feed(forecaster, np.empty((0, 10)), range(3))
    assert said.quantiles.shape == (0, len(RESOURCES), 3, 3)


def test_a_container_capped_by_quota_is_forecast_above_its_cap(forecaster: Forecaster, feed: Callable) -> None:
    capped = np.full((1, 100), 0.5)
    said = feed(forecaster, capped, range(100), ceilings=np.full((1, 100), 0.8), censored=np.full((1, 100), True))
    assert (said.quantiles[0, CPU] > 0.7).all()
    assert (said.quantiles[0, CPU, :, 0] <= 0.8).all()
    assert np.isnan(said.coverage[0, CPU]).all()


@pytest.mark.parametrize("containers", [1, 2, 4, 5])
def test_a_rhythm_cut_off_by_a_cap_is_forecast_above_the_cap_before_it_arrives(
    forecaster: Forecaster, feed: Callable, containers: int
) -> None:
    load = np.repeat(rhythm(260), containers, axis=0)
    capped, columns = load[:, :200] > 0.4, range(200)
    seen = np.minimum(load[:, :200], 0.4)
    said = feed(forecaster, seen, columns, ceilings=np.where(capped, 1.0, seen), censored=capped)
    soon = [ahead for ahead in range(3) if load[0, 199 + (4, 8, 12)[ahead]] > 0.5]
    late = [ahead for ahead in range(3) if ahead not in soon]
    assert soon
    assert late
    assert (said.quantiles[:, CPU, soon, 0] > 0.6).all()
    assert (said.quantiles[:, CPU, late, 0] < 0.3).all()
    assert said.trusted[:, CPU].all()


def test_a_cap_that_never_binds_raises_nothing(forecaster: Forecaster, feed: Callable) -> None:
    free = np.full((1, 100), 0.5)
    said = feed(forecaster, free, range(100), ceilings=np.full((1, 100), 0.8))
    assert (said.quantiles[0, CPU] == np.float32(0.5)).all()


def test_the_nodes_own_sum_is_one_more_row_and_varies_less_than_its_parts(
    forecaster: Forecaster, feed: Callable
) -> None:
    parts = 1 + np.abs(np.random.default_rng(8).normal(size=(6, 250)))
    said = feed(forecaster, np.vstack([parts.sum(axis=0), parts]), range(250))
    high = said.quantiles[:, CPU, 0, 1]
    assert high[0] < high[1:].sum()
    assert said.coverage[0, CPU, 0, 0] == pytest.approx(0.9, abs=0.08)


def test_what_was_not_seen_of_late_is_not_trusted_and_beyond_the_longest_horizon_not_forecast_until_it_is_seen_again(
    forecaster: Forecaster, feed: Callable
) -> None:
    load = rhythm(400)
    load[0, 200:250] = np.nan
    known = feed(forecaster, load, range(203))
    assert known.trusted[0, CPU]
    starved = feed(forecaster, load, range(203, 204))
    assert not starved.trusted[0, CPU]
    assert np.isfinite(starved.quantiles[0, CPU]).all()
    assert np.isfinite(feed(forecaster, load, range(204, 211)).quantiles[0, CPU]).all()
    blind = feed(forecaster, load, range(211, 212))
    assert np.isnan(blind.quantiles[0, CPU]).all()
    assert not blind.trusted[0, CPU]
    again = feed(forecaster, load, range(212, 300))
    assert np.isfinite(again.quantiles[0, CPU]).all()
    assert again.trusted[0, CPU]


def test_a_restored_forecast_is_not_acted_on_after_a_long_hole_until_samples_come(
    forecaster: Forecaster, feed: Callable
) -> None:
    load = rhythm(360)
    load[0, 200:300] = np.nan
    assert feed(forecaster, load, range(200)).trusted[0, CPU]
    restored = Forecaster(CONFIG)
    restored.restore(forecaster.export())
    said = feed(restored, load, range(299, 300))
    assert not said.trusted.any()
    assert np.isnan(said.quantiles).all()
    assert np.isfinite(feed(restored, load, range(300, 301)).quantiles[0, CPU]).all()
    restored.close()
