import numpy as np
import pytest

from exporter.assess.habits import MOST_PAIRS, Habit, Habits
from exporter.assess.portrait import Fitted, Portrait, fit, refit
from exporter.assess.repertoire import FEW_PAIRS, Made, Repertoire, gather

CALLS, PROGRAMS = 80, 12
PAIRS = 200
NONE = np.zeros((1, 0), np.float32)


def programs(seed: int, steps: int) -> np.ndarray:
    """Return steps that are each another program's life: calls of its kind, some more, some less, for long or not."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(0).random((PROGRAMS, CALLS)) < 0.25
    made = kinds[rng.integers(PROGRAMS, size=steps)] ^ (rng.random((steps, CALLS)) < 0.05)
    counts = made * (1 + rng.poisson(np.exp(rng.normal(3, 1.5, (steps, 1))), (steps, CALLS)))
    return np.asarray(np.log1p(counts), np.float16)


def pairs(seed: int, steps: int) -> np.ndarray:
    """Return the pairs of the steps of the same programs: those of their kind, some more, some less."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(9).random((PROGRAMS, PAIRS)) < 0.2
    made = kinds[rng.integers(PROGRAMS, size=steps)] ^ (rng.random((steps, PAIRS)) < 0.03)
    return np.packbits(made, axis=1)


def none(steps: int) -> Made:
    return Made.known(np.zeros((steps, 0), np.uint8))


@pytest.fixture(scope="module")
def learned() -> Fitted:
    return fit(programs(1, 800), none(800).bits)


@pytest.fixture(scope="module")
def paired() -> Fitted:
    return fit(programs(1, 800), pairs(1, 800))


def strangeness(fitted: Fitted, made: np.ndarray, count: float = 20.0, stray: int = 0) -> float:
    others = np.full((1, stray), np.log1p(1.0), np.float32)
    return float(fitted.surprisal(np.log1p(count * made[None].astype(np.float32)), others, none(1))[0])


def test_where_no_two_steps_are_alike_their_sets_are_compared(learned: Fitted) -> None:
    assert isinstance(learned.portrait, Repertoire)


def test_a_service_that_does_the_same_all_day_is_judged_by_its_counts() -> None:
    steady = np.log1p(np.random.default_rng(2).poisson(np.linspace(1, 50, 30), (400, 30))).astype(np.float16)
    assert isinstance(fit(steady, pairs(2, 400)).portrait, Portrait)


def test_new_steps_of_the_same_programs_are_as_seldom_strange_as_promised(learned: Fitted) -> None:
    fresh = programs(3, 4000).astype(np.float32)
    found = learned.surprisal(fresh, np.zeros((4000, 0), np.float32), none(4000))
    assert (found > -np.log(0.01)).mean() < 0.02


def test_calls_of_two_programs_together_are_strange_and_a_long_life_is_not(learned: Fitted) -> None:
    kinds = np.random.default_rng(0).random((PROGRAMS, CALLS)) < 0.25
    assert strangeness(learned, kinds[0], count=1e5) < -np.log(0.05)
    half = np.arange(CALLS) < CALLS // 2
    assert strangeness(learned, np.where(half, kinds[0], kinds[1])) > -np.log(0.001)


def test_calls_never_learned_make_a_step_stranger(learned: Fitted) -> None:
    kinds = np.random.default_rng(0).random((PROGRAMS, CALLS)) < 0.25
    assert strangeness(learned, kinds[0], stray=12) > strangeness(learned, kinds[0]) + 1


def test_the_calls_that_are_missing_and_added_are_told() -> None:
    steps = np.ones((100, 3), np.float16)
    steps[:, 2] = 0
    off = gather(steps, none(100).bits).furthest(np.array([[1.0, 0.0, 1.0]]))
    assert off[0, 0] == pytest.approx(0)
    assert off[0, 1] < -3
    assert off[0, 2] > 3


def test_an_empty_step_is_like_another_and_unlike_a_full_one() -> None:
    steps = np.zeros((100, 4), np.float16)
    assert gather(steps, none(100).bits).strangeness(np.zeros((1, 4)), NONE, none(1))[0] == pytest.approx(0)
    assert gather(steps, none(100).bits).strangeness(np.ones((1, 4)), NONE, none(1))[0] > 0.5


@pytest.mark.parametrize("bits", [none(800).bits, pairs(1, 800)])
def test_a_saved_sample_is_judged_as_before(bits: np.ndarray) -> None:
    learned = fit(programs(1, 800), bits)
    again = refit(programs(1, 800), bits, learned.tail, learned.units)
    fresh, stray, made = programs(4, 50).astype(np.float32), np.zeros((50, 0), np.float32), Made.known(pairs(4, 50))
    np.testing.assert_array_equal(again.surprisal(fresh, stray, made), learned.surprisal(fresh, stray, made))


def surprisal(fitted: Fitted, seed: int, bits: np.ndarray, count: float | None = None) -> np.ndarray:
    made = Made.known(bits)
    if count is not None:
        made = Made(bits, np.full(len(bits), count))
    return fitted.surprisal(programs(seed, len(bits)).astype(np.float32), np.zeros((len(bits), 0), np.float32), made)


def test_pairs_that_no_program_makes_are_strange_with_calls_that_are_not(paired: Fitted) -> None:
    usual = surprisal(paired, 5, pairs(5, 400))
    assert (usual > -np.log(0.01)).mean() < 0.03
    lacking = np.packbits(np.random.default_rng(3).random((400, PAIRS)) < 0.1, axis=1)
    assert (surprisal(paired, 5, lacking) > -np.log(0.01)).mean() > 0.9


def test_a_step_of_few_pairs_is_less_strange_and_one_of_none_not_at_all(paired: Fitted) -> None:
    lacking = np.packbits(np.random.default_rng(3).random((50, PAIRS)) < 0.1, axis=1)
    many, few, nothing = (surprisal(paired, 5, lacking, count) for count in (1e3, FEW_PAIRS, 0.0))
    assert (many > few).all()
    assert nothing.max() == 0


def test_where_most_steps_have_no_pairs_they_are_not_judged() -> None:
    bits = pairs(1, 800)
    bits[300:] = 0
    fitted = fit(programs(1, 800), bits)
    assert not fitted.units.any()
    np.testing.assert_array_equal(surprisal(fitted, 5, pairs(5, 50)), surprisal(fitted, 5, none(50).bits))


def test_pairs_of_varied_workloads_are_saved_and_those_of_others_are_let_go() -> None:
    steady = np.log1p(np.random.default_rng(2).poisson(np.linspace(1, 50, CALLS), (400, CALLS))).astype(np.float32)
    habits, made = Habits(), [np.flatnonzero(row) for row in np.unpackbits(pairs(1, 400), axis=1)]
    habits.learn(0, programs(1, 400).astype(np.float32), made)
    habits.learn(1, steady, made)
    habits.draw({0, 1})
    saved = {name: array.copy() for name, array in habits.export().items()}
    assert (saved["pair_counts"] > 0).tolist() == [[True, True], [False, False]]
    again = Habits()
    again.restore(saved, 2, CALLS)
    fresh, later = (
        programs(4, 50).astype(np.float32),
        [np.flatnonzero(row) for row in np.unpackbits(pairs(4, 50), axis=1)],
    )
    for row in (0, 1):
        np.testing.assert_allclose(again.surprisal(row, fresh, later), habits.surprisal(row, fresh, later))


def test_a_workload_with_ever_new_pairs_tells_only_so_many_apart() -> None:
    habit = Habit()
    for number in range(40):
        habit.learn(np.ones(3), np.arange(250 * number, 250 * (number + 1)), 64, MOST_PAIRS)
    assert len(habit.places) == MOST_PAIRS
    assert habit.bits.nbytes <= 2 * 64 * MOST_PAIRS // 8
