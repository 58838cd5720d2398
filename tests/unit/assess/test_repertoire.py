import numpy as np
import pytest

from exporter.assess.portrait import Fitted, Portrait, fit, refit
from exporter.assess.repertoire import Repertoire, gather

CALLS, PROGRAMS = 80, 12
NONE = np.zeros((1, 0), np.float32)


def programs(seed: int, steps: int) -> np.ndarray:
    """Return steps that are each another program's life: calls of its kind, some more, some less, for long or not."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(0).random((PROGRAMS, CALLS)) < 0.25
    made = kinds[rng.integers(PROGRAMS, size=steps)] ^ (rng.random((steps, CALLS)) < 0.05)
    counts = made * (1 + rng.poisson(np.exp(rng.normal(3, 1.5, (steps, 1))), (steps, CALLS)))
    return np.asarray(np.log1p(counts), np.float16)


@pytest.fixture(scope="module")
def learned() -> Fitted:
    return fit(programs(1, 800))


def strangeness(fitted: Fitted, made: np.ndarray, count: float = 20.0, stray: int = 0) -> float:
    others = np.full((1, stray), np.log1p(1.0), np.float32)
    return float(fitted.surprisal(np.log1p(count * made[None].astype(np.float32)), others)[0])


def test_where_no_two_steps_are_alike_their_sets_are_compared(learned: Fitted) -> None:
    assert isinstance(learned.portrait, Repertoire)


def test_a_service_that_does_the_same_all_day_is_judged_by_its_counts() -> None:
    steady = np.log1p(np.random.default_rng(2).poisson(np.linspace(1, 50, 30), (400, 30))).astype(np.float16)
    assert isinstance(fit(steady).portrait, Portrait)


def test_new_steps_of_the_same_programs_are_as_seldom_strange_as_promised(learned: Fitted) -> None:
    fresh = programs(3, 4000).astype(np.float32)
    found = learned.surprisal(fresh, np.zeros((4000, 0), np.float32))
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
    off = gather(steps).furthest(np.array([[1.0, 0.0, 1.0]]))
    assert off[0, 0] == pytest.approx(0)
    assert off[0, 1] < -3
    assert off[0, 2] > 3


def test_an_empty_step_is_like_another_and_unlike_a_full_one() -> None:
    steps = np.zeros((100, 4), np.float16)
    assert gather(steps).strangeness(np.zeros((1, 4)), NONE)[0] == pytest.approx(0)
    assert gather(steps).strangeness(np.ones((1, 4)), NONE)[0] > 0.5


def test_a_saved_sample_is_judged_as_before(learned: Fitted) -> None:
    again = refit(programs(1, 800), learned.tail)
    fresh, none = programs(4, 50).astype(np.float32), np.zeros((50, 0), np.float32)
    np.testing.assert_array_equal(again.surprisal(fresh, none), learned.surprisal(fresh, none))
