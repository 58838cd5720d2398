from collections.abc import Callable

import numpy as np
import pytest

from exporter.assess import burst
from exporter.history.windows import Window

MakeWindow = Callable[..., Window]


def _level(level: float, noise: float, seconds: float, step: float, seed: int = 1) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(level, noise, round(seconds / step)))


@pytest.mark.parametrize("step", [1.0, 2.0, 15.0])
def test_a_quiet_container_that_jumps_to_a_core_for_twenty_seconds_bursts(make_window: MakeWindow, step: float) -> None:
    cpu = _level(0.1, 0.01, 900, step)
    late = round(30 / step)
    cpu[-late : -late + max(round(20 / step), 1)] = 1.0
    found = burst.find(make_window(step=step, cpu=cpu))
    assert found.score[0] > 0.8
    assert found.peak[0] == pytest.approx(1.0)
    assert found.usual[0] == pytest.approx(0.1, abs=0.02)


def test_repeated_bursts_keep_the_score_up_between_them(make_window: MakeWindow) -> None:
    cpu = np.full(450, 0.05)
    cpu[::30] = cpu[1::30] = cpu[2::30] = 0.8
    assert burst.find(make_window(cpu=cpu)).score[0] > 0.8
    assert burst.find(make_window(cpu=cpu[:-20])).score[0] > 0.8


@pytest.mark.parametrize("step", [2.0, 15.0])
def test_steady_high_load_is_no_burst(make_window: MakeWindow, step: float) -> None:
    assert burst.find(make_window(step=step, cpu=_level(1.5, 0.1, 900, step))).score[0] < 0.1


def test_noise_of_a_millicore_is_no_burst(make_window: MakeWindow) -> None:
    assert burst.find(make_window(cpu=_level(0.001, 0.001, 900, 2.0), cpu_limit=0.05)).score[0] < 0.1


def test_a_burst_is_forgotten_after_three_minutes(make_window: MakeWindow) -> None:
    cpu = np.full(450, 0.1)
    cpu[-100:-92] = 1.0
    assert burst.find(make_window(cpu=cpu)).score[0] < 0.1


def test_load_that_stays_up_turns_from_burst_into_level(make_window: MakeWindow) -> None:
    cpu = np.full(450, 0.1)
    cpu[-30:] = 1.0
    assert burst.find(make_window(cpu=cpu)).score[0] > 0.8
    cpu[-170:] = 1.0
    assert burst.find(make_window(cpu=cpu)).score[0] < 0.1


def test_work_of_starting_is_no_burst(make_window: MakeWindow) -> None:
    cpu = np.full(80, 0.05)
    cpu[:20] = 1.0
    assert burst.find(make_window(cpu=cpu, age=160.0)).score[0] == 0.0


def test_a_small_limit_makes_a_small_burst_count(make_window: MakeWindow) -> None:
    cpu = np.full(300, 0.01)
    cpu[-10:-5] = 0.09
    assert burst.find(make_window(cpu=cpu, cpu_limit=0.1)).score[0] > 0.8
    assert burst.find(make_window(cpu=cpu)).score[0] < 0.5


def test_a_container_hardly_seen_has_no_burst(make_window: MakeWindow) -> None:
    cpu = np.full(300, np.nan)
    cpu[-5:] = [0.1, 0.1, 0.1, 0.1, 1.5]
    assert burst.find(make_window(cpu=cpu)).score[0] == 0.0
