import numpy as np
import pytest

from exporter.assess.wave import unlike_wave

DAY, WIDTH = 288, 90
COLUMNS = np.arange(150)
SLOPE = 4.0
LEAK = 300.0 + SLOPE * np.maximum(COLUMNS - 60, 0)


def _wave(size: float) -> np.ndarray:
    return 500.0 - size * np.cos(2 * np.pi * (COLUMNS - 30) / DAY)


def _noise(size: float) -> np.ndarray:
    return np.random.default_rng(3).normal(0, size, len(COLUMNS))


def _judge(levels: np.ndarray, goal: float = 1000.0, reach: int = 150) -> float:
    rows = np.atleast_2d(levels)
    whole = np.full(len(rows), WIDTH)
    return float(unlike_wave(rows, whole, np.full(len(rows), reach), float(DAY), np.full(len(rows), goal))[0])


def test_a_wave_is_explained_by_a_wave() -> None:
    assert _judge(_wave(300) + _noise(5)) < 0.2


def test_a_wave_is_found_with_gaps() -> None:
    levels = _wave(300) + _noise(5)
    levels[40:60] = np.nan
    levels[::7] = np.nan
    assert _judge(levels) < 0.2


def test_a_wave_that_would_go_over_the_goal_is_no_comfort() -> None:
    assert _judge(_wave(300) + _noise(5), goal=780.0) == np.inf


@pytest.mark.parametrize("size", [5.0, 30.0, 60.0])
def test_a_leak_after_a_level_is_not(size: float) -> None:
    assert _judge(LEAK + _noise(size), goal=2000.0) > 1.0


def test_what_came_before_the_reach_does_not_matter() -> None:
    shifted = np.concatenate([np.full(50, 5000.0), _wave(300) + _noise(5)])
    assert _judge(shifted) == pytest.approx(_judge(_wave(300) + _noise(5)))
