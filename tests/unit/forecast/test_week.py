import numpy as np
import pytest

from exporter.forecast.plan import Plan
from exporter.forecast.state import State, empty
from exporter.forecast.week import absorb, lookup, middle, past_days

PLAN = Plan.of((300.0,), (0.5, 0.9), 1, 60.0)
WEEK = 7 * PLAN.day


@pytest.fixture
def state() -> State:
    made = empty(2, 1, 1, 2, PLAN.slots)
    return State(**{name: array.reshape(-1, *array.shape[2:]) for name, array in vars(made).items()})


def live(state: State, columns: range) -> None:
    for column in columns:
        absorb(state, np.array([wave(column), 5.0], np.float32), column, PLAN.slot)


def wave(column: int) -> float:
    return 100 + 50 * np.sin(2 * np.pi * column / PLAN.day)


def test_the_same_time_on_each_day_of_the_past_week_is_known(state: State) -> None:
    now = WEEK + 600
    live(state, range(now + 1))
    days = past_days(state, now + 5, now, PLAN)
    assert np.abs(days[:, 0] - wave(now + 5)).max() < 1.0
    assert (days[:, 1] == 5.0).all()


def test_what_was_before_the_first_column_is_not_known(state: State) -> None:
    live(state, range(2 * PLAN.day))
    days = past_days(state, 2 * PLAN.day, 2 * PLAN.day - 1, PLAN)
    assert np.isfinite(days[0]).all()
    assert np.isnan(days[2:]).all()


def test_a_slot_that_is_not_over_is_not_told(state: State) -> None:
    live(state, range(100))
    assert np.isnan(lookup(state, 95, 99, PLAN.slot)).all()
    assert np.isfinite(lookup(state, 75, 99, PLAN.slot)).all()


def test_what_was_missed_is_not_known_and_what_was_before_the_gap_is(state: State) -> None:
    live(state, range(1000))
    live(state, range(1500, 1600))
    assert np.isnan(lookup(state, 1250, 1599, PLAN.slot)).all()
    assert np.isfinite(lookup(state, 500, 1599, PLAN.slot)).all()


def test_after_an_absence_longer_than_the_week_nothing_old_is_told(state: State) -> None:
    live(state, range(3000))
    live(state, range(3 * WEEK, 3 * WEEK + 50))
    days = past_days(state, 3 * WEEK + 49, 3 * WEEK + 49, PLAN)
    assert np.isnan(days).all()


def test_the_middle_is_of_what_is_known() -> None:
    nan = np.nan
    samples = np.array([[3.0, nan, nan], [1.0, 4.0, nan], [2.0, 9.0, nan]], np.float32)
    assert middle(samples)[:2].tolist() == [2.0, 4.0]
    assert np.isnan(middle(samples)[2])
