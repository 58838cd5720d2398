"""What a fresh replica is worth beside one that has seen it all, on made-up days."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from exporter.forecast.demand import prepare
from exporter.forecast.forecaster import Forecaster
from exporter.forecast.heritage import Heritage
from exporter.history.signals import RESOURCES
from exporter.history.windows import Grid
from exporter.sections import ForecastConfig

DAY = 96
CONFIG = ForecastConfig(step=900.0, horizons=(900.0, 1800.0, 3600.0), min_history=7200.0, arima=False)
AHEAD = (1, 2, 4)
ARRIVAL = 6 * DAY + 40
FRESH = 12
WIDTH = 3 * DAY
CPU = RESOURCES.index("cpu")


def days(seed: int, columns: int = 8 * DAY) -> np.ndarray:
    """A load with a busy time of day, slow wandering and a little noise."""
    random, time = np.random.default_rng(seed), np.arange(columns) % DAY
    busy = 2 + np.exp(-(((time - 45) / 7) ** 2)) * 4 + np.exp(-(((time - 70) / 5) ** 2)) * 2
    wander = np.zeros(columns)
    for column in range(1, columns):
        wander[column] = 0.9 * wander[column - 1] + 0.05 * random.normal()
    return busy * np.exp(wander) * (1 + 0.02 * random.normal(size=columns))


def grid_at(rows: list[tuple[np.ndarray, int]], lives: list[int], workloads: list[int], now: int) -> Grid:
    values = np.full((len(rows), len(RESOURCES), WIDTH), np.nan, np.float32)
    for number, (row, begin) in enumerate(rows):
        shown = np.arange(max(now + 1 - WIDTH, begin), now + 1)
        values[number, CPU, WIDTH - len(shown) :] = row[shown]
    where = np.array(lives, np.int64), np.array(workloads, np.int64)
    return Grid(900.0, 900.0 * now, *where, values, values, np.zeros(values.shape, np.bool_))


@dataclass(frozen=True)
class Compared:
    sibling: np.ndarray
    """[horizons], mean absolute error of what was forecast while fresh"""
    experienced: np.ndarray
    last: np.ndarray


def compare(elder: np.ndarray, fresh: np.ndarray, elder_stays: bool) -> Compared:
    """Forecast ``fresh`` as a newcomer's and, with all its past, as a stranger's that has always been there."""
    forecaster = Forecaster(CONFIG)
    said: dict[int, list[np.ndarray]] = {2: [], 3: []}
    for now in range(2 * DAY, ARRIVAL + FRESH):
        here = [(1, 7, elder, 0)] if elder_stays or now < ARRIVAL else []
        here += [(2, 8, fresh, 0)] + ([(3, 7, fresh, ARRIVAL)] if now >= ARRIVAL else [])
        lives, workloads, loads, begins = (list(column) for column in zip(*here, strict=True))
        forecast = forecaster.observe(grid_at(list(zip(loads, begins, strict=True)), lives, workloads, now))
        for row, life in enumerate(lives):
            if now >= ARRIVAL and life in said:
                said[life].append(forecast.quantiles[row, CPU])
    forecaster.close()
    made = np.arange(ARRIVAL, ARRIVAL + FRESH)
    actual = np.stack([fresh[made + ahead] for ahead in AHEAD], axis=1)
    sibling, experienced = (np.array(said[life]) for life in (3, 2))
    return Compared(
        np.abs(sibling[..., 0] - actual).mean(axis=0),
        np.abs(experienced[..., 0] - actual).mean(axis=0),
        np.abs(fresh[made][:, None] - actual).mean(axis=0),
    )


def loss(error: np.ndarray, against: np.ndarray) -> float:
    """The mean over horizons of one error over another, both lifted a little, as in the benchmark."""
    usual = np.array([np.abs(days(1)[ahead:] - days(1)[:-ahead]).mean() for ahead in AHEAD])
    return float(np.exp(np.log((error + 0.05 * usual) / (against + 0.05 * usual)).mean()))


@pytest.fixture(scope="module")
def sibling_load() -> np.ndarray:
    return np.roll(days(1), 1) * (1 + 0.03 * np.random.default_rng(2).normal(size=8 * DAY))


@pytest.fixture(scope="module", params=[True, False], ids=["elder-stays", "elder-goes"])
def compared(request: pytest.FixtureRequest, sibling_load: np.ndarray) -> Compared:
    return compare(days(1), sibling_load, request.param)


def test_a_fresh_replica_loses_at_most_a_fifth_more_than_one_with_all_its_past(compared: Compared) -> None:
    assert loss(compared.sibling, compared.experienced) < 1.2


def test_a_fresh_replica_beats_last_value_from_its_first_sample_on(compared: Compared) -> None:
    assert loss(compared.sibling, compared.last) < 0.8


def test_a_replica_at_half_the_load_is_forecast_at_its_own_level(sibling_load: np.ndarray) -> None:
    half = compare(days(1), 0.5 * sibling_load, elder_stays=True)
    assert loss(half.sibling, half.last) < 1.0


def test_a_sibling_that_behaves_otherwise_does_not_mislead_for_long(grid_of: Callable[..., Grid]) -> None:
    forecaster = Forecaster(ForecastConfig(step=2.5, horizons=(10.0, 20.0, 30.0), min_history=60.0, arima=False))
    time = np.arange(300)
    elder = np.where(time % 24 < 12, 0.9, 0.1) + 0.01 * np.random.default_rng(3).normal(size=300)
    steady = 0.5 + 0.01 * np.random.default_rng(4).normal(size=300)
    load = np.stack([elder, np.where(time >= 200, steady, np.nan)])
    for now in range(200):
        forecaster.observe(grid_of(load[:1], now, [1], [7]))
    said = [forecaster.observe(grid_of(load, now, [1, 2], [7, 7])) for now in range(200, 260)]
    forecaster.close()
    late = np.array([forecast.quantiles[1, CPU, :, 0] for forecast in said[40:]])
    assert np.abs(late - 0.5).mean() < 0.1


def given_past(elder: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """What a newcomer with the load ``fresh`` has for the twelve hours before its arrival."""
    heritage = Heritage(len(RESOURCES), 4)
    before = grid_at([(elder, 0)], [1], [7], ARRIVAL - 1)
    heritage.fill_in(prepare(before), before.lives, ARRIVAL - 1)
    heritage.give(3, 1, 7)
    values = np.empty(0)
    for now in range(ARRIVAL, ARRIVAL + FRESH):
        grid = grid_at([(elder, 0), (fresh, ARRIVAL)], [1, 3], [7, 7], now)
        values = heritage.fill_in(prepare(grid), grid.lives, now).values[len(RESOURCES) + CPU]
    return values[-FRESH - DAY // 2 : -FRESH]


@pytest.mark.parametrize("late", [3, 8])
def test_a_replica_that_runs_behind_its_elder_has_its_past_as_much_later(late: int) -> None:
    behind = np.roll(days(1), late)
    assert given_past(days(1), behind) == pytest.approx(behind[ARRIVAL - DAY // 2 : ARRIVAL], rel=1e-5)


def test_a_noisy_replica_that_runs_beside_its_elder_has_its_past_as_it_was() -> None:
    noisy = days(1) * (1 + 0.05 * np.random.default_rng(5).normal(size=8 * DAY))
    assert given_past(days(1), noisy) == pytest.approx(days(1)[ARRIVAL - DAY // 2 : ARRIVAL], rel=1e-5)
