from collections.abc import Callable

import numpy as np
import pytest

from exporter.forecast.demand import Demand
from exporter.forecast.drift import UNDER_COLUMNS, Drift

AHEAD = (5, 15)
COLUMNS = 600
CHANGE = 300
SERIES = 8
RNG = np.random.default_rng(5)
NOISE = RNG.normal(size=(SERIES, COLUMNS)).astype(np.float32)
WAVE = (50 + 20 * np.sin(2 * np.pi * np.arange(COLUMNS) / 288) * np.ones((SERIES, 1))).astype(np.float32)
LATE = np.arange(COLUMNS) >= CHANGE

Watch = Callable[..., tuple[Drift, list[int], list[int]]]


@pytest.fixture
def watch() -> Watch:
    def run(values: np.ndarray, said: np.ndarray, **bounds: np.ndarray) -> tuple[Drift, list[int], list[int]]:
        """Return the columns at which series are given out as drifted, and as unused."""
        values = values.astype(np.float32)
        measured = bounds.get("measured", np.ones(values.shape, np.bool_))
        demand = Demand(values, measured, values, values, np.zeros(len(values), np.int64))
        drift, drifted, unused = Drift(1, AHEAD), [], []
        drift.arrange(np.full(len(values), -1))
        for now in range(values.shape[1]):
            drift.observe(np.repeat(said[:, now, None], len(AHEAD), axis=1).astype(np.float32), demand, now)
            drifted += [now] * len(drift.drifted())
            unused += [now] * len(drift.unused())
        return drift, drifted, unused

    return run


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (50 + NOISE, np.full_like(NOISE, 50)),
        (WAVE + NOISE, WAVE),
        (np.full_like(NOISE, 7), np.full_like(NOISE, 7)),
        (np.zeros_like(NOISE), np.zeros_like(NOISE)),
        (50 + NOISE, np.full_like(NOISE, np.nan)),
        (np.full_like(NOISE, 1e18), np.full_like(NOISE, 1e18)),
        (50 + NOISE * np.where(LATE, 3, 1), np.full_like(NOISE, 50)),
        (50 + NOISE + 400 * (np.arange(COLUMNS) == CHANGE), np.full_like(NOISE, 50)),
    ],
    ids=["noise", "wave", "constant", "zero", "no forecast", "huge", "livelier, and no model could help", "one burst"],
)
def test_nothing_drifts_that_keeps_its_habit(watch: Watch, values: np.ndarray, said: np.ndarray) -> None:
    _, drifted, unused = watch(values, said)
    assert drifted == []
    assert unused == []


def test_a_forecast_that_misses_a_new_rhythm_has_drifted_once_the_change_lies_back(watch: Watch) -> None:
    habit, other = (50 + 20 * np.sin(2 * np.pi * np.arange(COLUMNS) / period) for period in (24, 37))
    _, drifted, _ = watch(np.where(LATE, other, habit) + NOISE, np.tile(habit, (SERIES, 1)))
    assert len(set(drifted)) > 0
    assert CHANGE + 2 * max(AHEAD) - min(AHEAD) <= drifted[0] < CHANGE + 100


def test_use_far_under_the_forecast_is_a_signal_once_the_change_lies_back(watch: Watch) -> None:
    _, _, unused = watch(np.where(LATE, 20, 50) + NOISE, np.full_like(NOISE, 50))
    assert unused[0] == CHANGE + UNDER_COLUMNS - 1 + 2 * max(AHEAD) - 1


def test_use_a_little_under_the_forecast_is_none(watch: Watch) -> None:
    _, _, unused = watch(np.where(LATE, 42, 50) + NOISE, np.full_like(NOISE, 50))
    assert unused == []


def test_what_a_limit_held_back_is_no_sign_of_either(watch: Watch) -> None:
    measured = np.broadcast_to(~LATE, NOISE.shape)
    _, drifted, unused = watch(np.where(LATE, 20, 50) + NOISE, np.full_like(NOISE, 50), measured=measured)
    assert drifted == []
    assert unused == []


def test_settled_series_are_tested_on_against_what_was_usual_and_the_second_time_against_what_is(
    watch: Watch,
) -> None:
    drift, _, _ = watch(np.where(LATE, 200, 50) + 20 * NOISE * ~LATE, np.full_like(NOISE, 50))
    every = np.arange(SERIES)
    assert drift.drifted().tolist() == every.tolist()
    assert (drift.since(every) > 2 * max(AHEAD)).all()
    usual = drift._held["batches"].copy()
    drift.settle(every)
    assert drift.drifted().size == 0
    assert (drift._held["batches"] == usual).all()
    drift.settle(every)
    assert (drift._held["batches"] == 0).all()


def test_the_test_follows_containers_that_come_and_go(watch: Watch) -> None:
    values = 50 + NOISE + np.where(LATE & (np.arange(SERIES)[:, None] == 3), 8, 0)
    drift, _, _ = watch(values, np.full_like(NOISE, 50))
    assert drift.drifted().tolist() == [3]
    drift.arrange(np.array([-1, 3, 0]))
    assert drift.drifted().tolist() == [1]
    drift.arrange(np.empty(0, np.int64))
    drift.arrange(np.array([-1]))
    assert drift.drifted().size == 0
