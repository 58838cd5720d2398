import numpy as np
import pytest

from exporter.forecast import backpropagation, recurrent
from exporter.forecast.backpropagation import LENGTH
from exporter.forecast.recurrent import WIDTH, Network

AHEAD = 5
SEQUENCES = 150


def habit(columns: int, period: int, seed: int) -> np.ndarray:
    """A sine whose every second trough is a jump: what comes next is no linear matter."""
    phase = np.random.default_rng(seed).integers(0, 2 * period)
    t = np.arange(columns) + phase
    jump = 4.0 * ((t // period) % 2) * ((t % period) >= 3 * period // 4)
    return np.sin(2 * np.pi * t / period) + jump


def lesson(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [time, 1, 2] and targets [time, 1, 1] of one series, as the engine makes them."""
    unit = np.abs(np.diff(values)).mean() or 1.0
    size = np.abs(values[AHEAD:] - values[:-AHEAD]).mean() or 1.0
    mean = np.array([values[max(i - 39, 0) : i + 1].mean() for i in range(len(values))])
    inputs = np.stack([np.diff(values, prepend=values[0]), values - mean], axis=1) / unit
    targets = np.full((len(values), 1), np.nan)
    targets[:-AHEAD, 0] = (values[AHEAD:] - values[:-AHEAD]) / size
    return inputs[:, None].astype(np.float32), targets[:, None].astype(np.float32)


def lessons(period: int) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = zip(*(lesson(habit(LENGTH + 40, period, seed)) for seed in range(SEQUENCES)), strict=True)
    return np.concatenate(inputs, axis=1)[-LENGTH:], np.concatenate(targets, axis=1)[-LENGTH:]


def loss(network: Network, period: int) -> float:
    """Mean absolute error against last value's, of a series that was not learned from."""
    inputs, targets = lesson(habit(400, period, 12345))
    states, errors, changes = np.zeros((1, WIDTH), np.float32), [], []
    for seen, wanted in zip(inputs, targets, strict=True):
        states = recurrent.advance(network, states, seen)
        errors.append(abs(recurrent.predict(network, states, seen)[0, 0] - wanted[0, 0]))
        changes.append(abs(wanted[0, 0]))
    return float(np.nanmean(errors[100:]) / np.nanmean(changes[100:]))


@pytest.fixture(scope="module")
def trained() -> Network:
    return backpropagation.fit(recurrent.fresh(2, 1, 0), *lessons(24), batches=150, seed=1, enough=lambda: False)


def test_a_jump_that_only_its_past_announces_is_learned(trained: Network) -> None:
    assert loss(trained, 24) < 0.5


def test_an_untrained_network_is_last_value() -> None:
    assert loss(recurrent.fresh(2, 1, 0), 24) == 1.0


def test_a_changed_habit_is_recovered_by_retraining(trained: Network) -> None:
    before = loss(trained, 15)
    again = backpropagation.fit(trained, *lessons(15), batches=150, seed=2, enough=lambda: False)
    assert not np.allclose(again.readout, trained.readout)
    assert loss(again, 15) < 0.5 < before


def test_what_stands_still_keeps_a_state_of_zero_and_is_forecast_to_stand_still(trained: Network) -> None:
    still = np.zeros((3, 2), np.float32)
    states = np.zeros((3, WIDTH), np.float32)
    for _ in range(50):
        states = recurrent.advance(trained, states, still)
    assert not states.any()
    assert not recurrent.predict(trained, states, still).any()


def test_a_series_that_comes_to_rest_is_soon_forecast_to_rest(trained: Network) -> None:
    states = np.zeros((1, WIDTH), np.float32)
    for seen in lesson(habit(200, 24, 3))[0]:
        states = recurrent.advance(trained, states, seen)
    moved = np.abs(states).max()
    for _ in range(300):
        states = recurrent.advance(trained, states, np.zeros((1, 2), np.float32))
    assert np.abs(states).max() < 0.2 * moved


@pytest.mark.parametrize("value", [1e18, -1e18, np.inf, -np.inf, np.nan])
def test_any_input_leaves_states_bounded_and_a_finite_forecast(trained: Network, value: float) -> None:
    inputs = np.full((4, 2), value, np.float32)
    states = np.zeros((4, WIDTH), np.float32)
    for _ in range(100):
        states = recurrent.advance(trained, states, inputs)
    assert (np.abs(states) <= 1).all()
    assert np.isfinite(recurrent.predict(trained, states, inputs)).all()


def test_no_input_reads_as_no_change(trained: Network) -> None:
    states = np.full((2, WIDTH), 0.5, np.float32)
    unknown = recurrent.advance(trained, states, np.full((2, 2), np.nan, np.float32))
    np.testing.assert_array_equal(unknown, recurrent.advance(trained, states, np.zeros((2, 2), np.float32)))


def test_series_do_not_disturb_each_other(trained: Network) -> None:
    inputs = np.random.default_rng(4).normal(size=(5, 2)).astype(np.float32)
    states = np.random.default_rng(5).uniform(-1, 1, (5, WIDTH)).astype(np.float32)
    alone = recurrent.advance(trained, states[2:3], inputs[2:3])
    np.testing.assert_allclose(recurrent.advance(trained, states, inputs)[2:3], alone, atol=1e-6)


def test_the_same_lessons_and_seed_give_the_same_network() -> None:
    inputs, targets = lessons(24)
    first, second = (
        backpropagation.fit(recurrent.fresh(2, 1, 0), inputs, targets, batches=5, seed=3, enough=lambda: False)
        for _ in range(2)
    )
    for name, weights in vars(first).items():
        np.testing.assert_array_equal(weights, getattr(second, name))


def test_lessons_without_a_known_target_teach_nothing(trained: Network) -> None:
    inputs, targets = lessons(24)
    assert (
        backpropagation.fit(trained, inputs, np.full_like(targets, np.nan), batches=5, seed=0, enough=lambda: False)
        is trained
    )
    assert (
        backpropagation.fit(trained, inputs[:, :0], targets[:, :0], batches=5, seed=0, enough=lambda: False) is trained
    )


def test_wild_and_missing_numbers_in_lessons_leave_weights_finite() -> None:
    inputs, targets = lessons(24)
    inputs[::7], targets[::5], targets[::11] = np.nan, np.nan, 1e18
    inputs[::13] = -1e18
    network = backpropagation.fit(recurrent.fresh(2, 1, 0), inputs, targets, batches=10, seed=0, enough=lambda: False)
    assert all(np.isfinite(weights).all() for weights in vars(network).values())


def test_the_gradient_is_that_of_the_error(trained: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpropagation, "_STEEPEST", np.inf)
    inputs, targets = lessons(24)
    inputs, targets = inputs[:, :8], targets[:, :8]
    slopes = backpropagation._slopes(trained, recurrent.squash(inputs), targets)
    length = np.sqrt(sum((slope**2).sum() for slope in slopes))

    def error(along: float) -> float:
        moved = [w + along / length * slope for w, slope in zip(vars(trained).values(), slopes, strict=True)]
        network, states, left = Network(*moved), np.zeros((8, WIDTH), np.float32), []
        for seen, wanted in zip(inputs, targets, strict=True):
            states = recurrent.advance(network, states, seen)
            left.append(recurrent.predict(network, states, seen).astype(np.float64) - wanted)
        return float(np.nanmean(np.sqrt(np.array(left[backpropagation.BURN :]) ** 2 + backpropagation._ROUNDING**2)))

    assert (error(1e-3) - error(-1e-3)) / 2e-3 == pytest.approx(length, rel=0.02)
