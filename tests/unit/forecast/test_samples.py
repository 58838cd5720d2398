import numpy as np
import pytest

from exporter.forecast import samples as room
from exporter.forecast.learning import Past
from exporter.forecast.samples import Samples

AHEAD = 3
SERIES = 4


def past(column: int, values: np.ndarray, measured: np.ndarray | None = None) -> Past:
    newest = values.astype(np.float32)
    seen = np.ones(len(newest), np.bool_) if measured is None else measured
    return Past(newest[:, None], np.zeros(len(newest), np.int64), seen, newest, newest, column)


def draw(samples: Samples, column: int, values: np.ndarray, unit: float = 2.0) -> None:
    inputs = np.full((len(values), 5), column % 100, np.float32)
    each = np.full(len(values), unit, np.float32)
    samples.draw(column, inputs, each, each, values.astype(np.float32))


def test_a_sample_is_what_was_known_and_what_came_in_units_of_the_usual_change() -> None:
    samples = Samples(AHEAD, 5, 1440)
    draw(samples, 10, np.arange(SERIES))
    samples.learn(past(12, np.arange(SERIES) + 9.0))
    assert len(samples.known.targets) == 0
    samples.learn(past(13, np.arange(SERIES) + 6.0))
    assert samples.known.targets.tolist() == [3.0] * SERIES
    assert (samples.known.inputs == 10).all()


def test_what_was_not_measured_teaches_nothing() -> None:
    samples = Samples(AHEAD, 5, 1440)
    draw(samples, 10, np.arange(SERIES))
    samples.learn(past(13, np.arange(SERIES) + 6.0, np.array([True, False, False, True])))
    assert len(samples.known.targets) == 2


def test_a_series_that_stands_still_is_not_drawn() -> None:
    samples = Samples(AHEAD, 5, 1440)
    draw(samples, 10, np.arange(SERIES), unit=0.0)
    samples.learn(past(13, np.arange(SERIES)))
    assert len(samples.known.targets) == 0


def test_samples_follow_their_series_and_leave_with_them() -> None:
    samples = Samples(AHEAD, 5, 1440)
    draw(samples, 10, np.array([0.0, 10.0, 20.0, 30.0]))
    samples.gather(np.array([3, -1, 1]))
    samples.learn(past(13, np.array([34.0, 99.0, 16.0])))
    assert sorted(samples.known.targets.tolist()) == [2.0, 3.0]


def test_a_node_that_lost_all_its_containers_goes_on() -> None:
    samples = Samples(AHEAD, 5, 1440)
    draw(samples, 10, np.arange(SERIES))
    samples.gather(np.empty(0, np.int64))
    samples.learn(past(13, np.empty(0)))
    assert len(samples.known.targets) == 0


def test_the_reservoir_is_bounded_and_takes_the_new_in_for_the_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CAPACITY", 40)
    samples = Samples(1, 5, 1)
    for column in range(300):
        draw(samples, column, np.zeros(SERIES))
        samples.learn(past(column, np.full(SERIES, 2.0 * column)))
    assert len(samples.known.targets) == 40
    assert np.unique(samples.known.inputs).size > 5


def test_what_was_saved_is_taken_back() -> None:
    samples, other = Samples(AHEAD, 5, 1440), Samples(AHEAD, 5, 1440)
    draw(samples, 10, np.arange(SERIES))
    samples.learn(past(13, np.arange(SERIES) + 6.0))
    other.restore(samples.export())
    assert other.known.targets.tolist() == samples.known.targets.tolist()
    assert other.known.inputs.tolist() == samples.known.inputs.tolist()


def test_what_is_not_known_is_never_a_sample() -> None:
    samples = Samples(AHEAD, 5, 1440)
    draw(samples, 10, np.array([0.0, np.nan, 2.0, 3.0]))
    samples.learn(past(13, np.array([6.0, 6.0, np.nan, 9.0])))
    assert samples.known.targets.tolist() == [3.0, 3.0]


def test_after_a_clock_was_set_back_what_waited_for_the_future_is_dropped() -> None:
    samples = Samples(AHEAD, 5, 1440)
    for column in (100, 101, 102, 50, 51, 52, 53):
        draw(samples, column, np.arange(SERIES))
        samples.learn(past(column, np.arange(SERIES) + 2.0))
    assert len(samples._waiting) <= AHEAD + 1
    assert len(samples.known.targets) == SERIES
