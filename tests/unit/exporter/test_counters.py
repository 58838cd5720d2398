import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.history.counters import Counters, Rates

NAN = float("nan")
STALE = 45.0

_MAYBE = st.none() | st.floats(0, 1e12)
_STEPS = st.lists(st.tuples(_MAYBE, st.floats(-30, 60), st.booleans()), min_size=2, max_size=30)


def _feed(counters: Counters, value: float, stamp: float, now: float | None = None) -> Rates:
    return counters.update(np.array([[value]]), np.array([[stamp]]), stamp if now is None else now)


def _numbers(rates: Rates) -> tuple[float, float]:
    return float(rates.held[0, 0]), float(rates.fresh[0, 0])


@settings(deadline=None, max_examples=100)
@given(_STEPS)
def test_no_rate_is_negative_or_infinite_whatever_comes(steps: list[tuple[float | None, float, bool]]) -> None:
    counters, now = Counters(1, STALE), 1e9
    for value, forward, stamped in steps:
        now += forward
        given_value = NAN if value is None else value
        rates = counters.update(np.array([[given_value]]), np.array([[now if stamped else NAN]]), now)
        for rate in _numbers(rates):
            assert np.isnan(rate) or (rate >= 0 and np.isfinite(rate))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0.1, 60), st.floats(0, 1e6)), min_size=2, max_size=20))
def test_a_counter_that_only_rises_gives_its_true_rate(steps: list[tuple[float, float]]) -> None:
    counters, now, value = Counters(1, STALE * 10), 1e9, 5.0
    _feed(counters, value, now)
    for seconds, grown in steps:
        now, value = now + seconds, value + grown
        held, fresh = _numbers(_feed(counters, value, now))
        assert fresh == pytest.approx(grown / seconds, rel=1e-3, abs=1e-3)
        assert held == fresh


def test_the_first_sample_has_no_rate() -> None:
    assert np.isnan(_numbers(_feed(Counters(1, STALE), 7.0, 1e9))).all()


@pytest.mark.parametrize("stamp", [1e9 + 15, 1e9 + 3], ids=["repeated", "older"])
def test_a_repeated_or_older_timestamp_is_no_new_sample(stamp: float) -> None:
    counters = Counters(1, STALE)
    _feed(counters, 10.0, 1e9)
    _feed(counters, 40.0, 1e9 + 15)
    held, fresh = _numbers(_feed(counters, 99.0, stamp, now=1e9 + 30))
    assert held == 2.0
    assert np.isnan(fresh)
    assert _numbers(_feed(counters, 70.0, 1e9 + 30))[1] == 2.0


def test_a_reset_gives_no_rate_and_the_sample_after_it_the_true_one() -> None:
    counters = Counters(1, STALE)
    _feed(counters, 1e6, 1e9)
    _feed(counters, 1e6 + 30, 1e9 + 15)
    assert np.isnan(_numbers(_feed(counters, 4.0, 1e9 + 30))).all()
    assert _numbers(_feed(counters, 34.0, 1e9 + 45)) == (2.0, 2.0)


def test_a_rate_is_held_while_its_sample_is_not_stale_and_no_longer() -> None:
    counters = Counters(1, STALE)
    _feed(counters, 0.0, 1e9)
    _feed(counters, 30.0, 1e9 + 15)
    assert _numbers(_feed(counters, 30.0, 1e9 + 15, now=1e9 + 15 + STALE))[0] == 2.0
    assert np.isnan(_numbers(_feed(counters, 30.0, 1e9 + 15, now=1e9 + 16 + STALE))).all()


def test_an_absent_sample_has_no_rate_and_the_next_one_spans_the_gap() -> None:
    counters = Counters(1, STALE)
    _feed(counters, 0.0, 1e9)
    assert np.isnan(_numbers(_feed(counters, NAN, NAN, now=1e9 + 15))).all()
    assert _numbers(_feed(counters, 60.0, 1e9 + 30))[1] == 2.0


def test_a_sample_without_timestamp_counts_as_taken_now() -> None:
    counters = Counters(1, STALE)
    _feed(counters, 0.0, NAN, now=1e9)
    assert _numbers(_feed(counters, 30.0, NAN, now=1e9 + 15))[1] == 2.0


def test_rows_and_columns_grow_and_a_removed_row_leaves_nothing_to_its_successor() -> None:
    counters = Counters(1, STALE, rows=1)
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    counters.update(values, np.full((3, 2), 1e9), 1e9)
    counters.remove(0, 2)
    rates = counters.update(np.array([[18.0, 30.0], [2.0, 20.0]]), np.full((2, 2), 1e9 + 15), 1e9 + 15)
    assert rates.fresh.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    newcomer = counters.update(np.full((3, 2), 1e6), np.full((3, 2), 1e9 + 30), 1e9 + 30)
    assert np.isnan(newcomer.fresh[2]).all()


def test_a_clock_set_back_is_a_new_beginning_and_no_frozen_rate() -> None:
    counters = Counters(1, 45.0)
    for at, value in ((0.0, 0.0), (15.0, 15.0)):
        counters.update(np.array([[value]]), np.array([[5000.0 + at]]), 5000.0 + at)
    back = [
        counters.update(np.array([[30.0 + 30 * n]]), np.array([[1400.0 + 15 * n]]), 1400.0 + 15 * n) for n in range(2)
    ]
    assert np.isnan(back[0].held[0, 0])
    assert back[1].held[0, 0] == 2.0
