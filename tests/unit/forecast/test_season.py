import numpy as np
import pytest

from exporter.forecast import season
from exporter.forecast.season import cycle_mean


def detect_periods(values: np.ndarray, first: int = 0) -> np.ndarray:
    return season.detect_periods(values, np.full(len(values), first))


def sine(period: float, columns: int, noise: float = 0.1) -> np.ndarray:
    wave = np.sin(2 * np.pi * np.arange(columns) / period)
    return (wave + np.random.default_rng(1).normal(size=columns) * noise).astype(np.float32)[None]


@pytest.mark.parametrize("period", [6.0, 8.6, 24.0, 24.5])
def test_a_period_is_found_after_three_cycles(period: float) -> None:
    assert detect_periods(sine(period, int(np.ceil(3 * period))))[0] == pytest.approx(period, abs=0.6)


def test_a_day_of_minutes_is_found_in_three_days() -> None:
    assert detect_periods(sine(1440, 4320))[0] == pytest.approx(1440, rel=0.02)


def test_noise_walks_and_trends_have_no_period() -> None:
    noise = np.random.default_rng(2).normal(size=(200, 240)).astype(np.float32)
    trend = np.arange(240, dtype=np.float32)[None] + noise[:1]
    assert (detect_periods(noise) > 0).mean() < 0.02
    assert (detect_periods(np.cumsum(noise, axis=1)) > 0).mean() < 0.1
    assert detect_periods(trend)[0] == 0


def test_a_constant_series_has_no_period() -> None:
    assert detect_periods(np.full((1, 100), 7, np.float32))[0] == 0


def test_cycles_look_up_the_phase_to_come_and_never_the_future() -> None:
    values = np.tile(np.arange(5, dtype=np.float32), 6)[None]
    first, period = np.zeros(1, np.int64), np.full(1, 5, np.float32)
    for ahead in range(1, 9):
        assert cycle_mean(values, first, 14, ahead, period)[0] == (14 + ahead) % 5
    values[:, 15:] = 1e9
    assert cycle_mean(values, first, 14, 8, period)[0] < 5


def test_without_a_whole_cycle_nothing_is_said() -> None:
    values = np.zeros((1, 10), np.float32)
    assert np.isnan(cycle_mean(values, np.array([8]), 9, 1, np.full(1, 5, np.float32)))[0]


def test_what_came_before_the_first_sample_hides_no_rhythm() -> None:
    young = np.concatenate([np.full((1, 900), 7, np.float32), sine(24, 80)], axis=1)
    assert detect_periods(young, first=900)[0] == pytest.approx(24, abs=0.6)


def test_the_period_of_a_series_does_not_depend_on_those_beside_it() -> None:
    random, time = np.random.default_rng(9), np.arange(300)
    spans = random.uniform(8, 60, (40, 1))
    values = (np.sin(2 * np.pi * time / spans) + 0.2 * random.normal(size=(40, 300))).astype(np.float32)
    first = np.zeros(40, np.int64)
    alone = [detect_periods(values[[row]], first[[row]])[0] for row in range(40)]
    np.testing.assert_array_equal(detect_periods(values, first), alone)
    assert (np.array(alone) > 0).mean() > 0.8
