from collections.abc import Callable

import numpy as np
import pytest

from exporter.assess import leak
from exporter.history.windows import Window

MakeWindow = Callable[..., Window]
MIB = 2.0**20
ALARM = 0.8


def _noise(width: int, size: float) -> np.ndarray:
    return np.random.default_rng(3).normal(0, size, width)


def _calls(make_window: MakeWindow, memory: np.ndarray, step: float, **given: object) -> np.ndarray:
    """Score at each moment of a growing record: a row a moment, with what was still to come left out."""
    moments = np.full((len(memory), len(memory)), np.nan)
    for seen in range(1, len(memory) + 1):
        moments[seen - 1, -seen:] = memory[:seen]
    return leak.find(make_window(step=step, memory=moments, **given)).score


@pytest.mark.parametrize("rate", [1.0, 1.5, 2.0])
def test_a_leak_after_steady_use_is_called_well_before_half_way(make_window: MakeWindow, rate: float) -> None:
    growing = np.maximum(np.arange(200) - 60, 0) * 2.0
    memory = (40 + rate * growing) * MIB + _noise(200, 0.1 * MIB)
    limit = (40 + rate * 160) * MIB
    scores = _calls(make_window, memory, 2.0, memory_limit=limit)
    first = int(np.argmax(scores >= ALARM))
    lasted = growing[first]
    assert 40 <= lasted <= 70
    assert (scores[first + 3 : 60 + 75] >= ALARM).all()
    assert (scores[:75] < ALARM).all()


def test_a_container_that_leaks_from_its_start_is_called_within_about_a_minute(make_window: MakeWindow) -> None:
    memory = (10 + 1.5 * 2.0 * np.arange(80)) * MIB
    first = next(
        width
        for width in range(1, 80)
        if leak.find(make_window(memory=memory[:width], age=2.0 * width, memory_limit=200 * MIB)).score[0] >= ALARM
    )
    assert 45 <= 2.0 * first <= 64


@pytest.mark.parametrize(("days", "earliest", "latest"), [(0, 60, 100), (1, 110, 180)], ids=["its own", "not seen"])
def test_growth_seen_from_the_first_look_on_is_called_later_unless_it_began_with_the_container(
    make_window: MakeWindow, days: int, earliest: float, latest: float
) -> None:
    memory = (40 + 1.0 * 2.0 * np.arange(120)) * MIB
    first = next(
        width
        for width in range(1, 120)
        if leak.find(make_window(memory=memory[:width], age=86400 * days + 2.0 * width, memory_limit=280 * MIB)).score[
            0
        ]
        >= ALARM
    )
    assert earliest <= 2.0 * first <= latest


def test_time_to_exhaustion_is_the_headroom_over_the_rate(make_window: MakeWindow) -> None:
    memory = (40 + 2.0 * 2.0 * np.arange(40)) * MIB + _noise(40, 0.1 * MIB)
    found = leak.find(make_window(memory=memory, memory_limit=400 * MIB, age=80.0))
    assert found.exhaustion[0] == pytest.approx((400 - 40 - 4 * 39) / 2.0, rel=0.1)
    assert found.rate[0] == pytest.approx(2 * MIB, rel=0.1)


def test_a_leak_of_under_an_hour_at_fifteen_seconds_is_called_before_half_way(make_window: MakeWindow) -> None:
    growing = np.maximum(np.arange(240) - 100, 0) * 15.0
    memory = (100 + 400 * growing / 3600) * MIB + _noise(240, 1.0 * MIB)
    scores = _calls(make_window, memory, 15.0, memory_limit=400 * MIB)
    first = int(np.argmax(scores >= ALARM))
    assert 600 <= growing[first] <= 1350
    assert (scores[:110] < ALARM).all()


def test_the_start_of_the_growth_is_told(make_window: MakeWindow) -> None:
    memory = (40 + 1.0 * 2.0 * np.maximum(np.arange(300) - 150, 0)) * MIB
    window = make_window(memory=memory, memory_limit=600 * MIB)
    assert window.end - leak.find(window).since[0] == pytest.approx(300, rel=0.25)


@pytest.mark.parametrize("seconds", [10.0, 30.0, 60.0, 120.0])
def test_a_warm_up_that_flattens_is_no_leak(make_window: MakeWindow, seconds: float) -> None:
    times = 2.0 * np.arange(300)
    memory = (20 + 200 * (1 - np.exp(-times / seconds))) * MIB + _noise(300, 0.2 * MIB)
    scores = [
        leak.find(make_window(memory=memory[:width], age=2.0 * width, memory_limit=512 * MIB)).score[0]
        for width in range(5, 300, 3)
    ]
    assert max(scores) < ALARM


def test_a_cache_that_has_filled_is_no_leak_and_has_no_exhaustion(make_window: MakeWindow) -> None:
    memory = (50 + np.minimum(2.0 * 2.0 * np.arange(200), 300)) * MIB + _noise(200, 0.2 * MIB)
    found = leak.find(make_window(memory=memory, memory_limit=512 * MIB))
    assert found.score[0] < 0.5
    assert np.isnan(found.exhaustion[0])


@pytest.mark.parametrize("step", [2.0, 15.0])
def test_noise_is_no_leak(make_window: MakeWindow, step: float) -> None:
    memory = np.random.default_rng(5).normal(300 * MIB, 5 * MIB, (50, 240))
    found = leak.find(make_window(step=step, memory=memory, memory_limit=512 * MIB))
    assert found.score.max() < 0.5
    assert np.isnan(found.exhaustion).all()


def test_a_random_walk_is_seldom_a_leak(make_window: MakeWindow) -> None:
    walks = 300 * MIB + np.cumsum(np.random.default_rng(5).normal(0, 0.5 * MIB, (200, 240)), axis=1)
    found = leak.find(make_window(step=15.0, memory=walks, memory_limit=512 * MIB))
    assert (found.score >= ALARM).mean() <= 0.03


def test_a_single_step_is_no_leak(make_window: MakeWindow) -> None:
    memory = np.full(240, 100 * MIB) + _noise(240, 0.2 * MIB)
    memory[140:] += 200 * MIB
    assert _calls(make_window, memory, 2.0, memory_limit=512 * MIB).max() < 0.5


def test_a_daily_wave_is_no_leak(make_window: MakeWindow) -> None:
    times = 15.0 * np.arange(5760)
    memory = (250 + 100 * np.sin(2 * np.pi * times / 86400)) * MIB + _noise(5760, 0.5 * MIB)
    scores = [
        leak.find(make_window(step=15.0, memory=memory[end - 240 : end], memory_limit=limit * MIB)).score[0]
        for end in range(240, 5760, 60)
        for limit in (512, np.nan)
    ]
    assert max(scores) < ALARM


@pytest.mark.parametrize("period", [30.0, 120.0, 400.0])
def test_a_collectors_saw_tooth_is_no_leak_once_one_tooth_was_seen(make_window: MakeWindow, period: float) -> None:
    times = 2.0 * np.arange(900)
    memory = (100 + 100 * (times % period) / period) * MIB + _noise(900, 0.5 * MIB)
    scores = _calls(make_window, memory, 2.0, memory_limit=512 * MIB)
    assert scores[int(period / 2) + 2 :].max() < ALARM


def test_a_saw_tooth_whose_foot_rises_is_a_leak(make_window: MakeWindow) -> None:
    times = 15.0 * np.arange(240)
    memory = (100 + 0.08 * times + 8 * (times % 90) / 90) * MIB
    assert leak.find(make_window(step=15.0, memory=memory, memory_limit=600 * MIB)).score[0] >= ALARM


def test_a_leak_that_is_killed_at_its_limit_and_grows_again_is_called_again(make_window: MakeWindow) -> None:
    tooth = (20 + 1.0 * 2.0 * np.arange(90)) * MIB
    memory = np.concatenate([tooth, tooth[:50]])
    assert leak.find(make_window(memory=memory, memory_limit=200 * MIB)).score[0] >= ALARM


def test_without_a_limit_fast_growth_is_a_leak_and_slow_growth_is_not(make_window: MakeWindow) -> None:
    memory = np.stack([40 + 2.0 * np.arange(240), 4000 + 0.01 * np.arange(240)]) * MIB
    found = leak.find(make_window(memory=memory, age=480.0))
    assert found.score[0] >= ALARM
    assert found.score[1] < 0.1
    assert np.isnan(found.exhaustion).all()


def test_gaps_do_not_hide_a_leak(make_window: MakeWindow) -> None:
    memory = (40 + 2.0 * np.arange(60)) * MIB
    memory[::3] = np.nan
    assert leak.find(make_window(memory=memory, memory_limit=300 * MIB, age=120.0)).score[0] >= ALARM


def test_too_few_samples_say_nothing(make_window: MakeWindow) -> None:
    memory = np.full(240, np.nan)
    memory[::30] = np.arange(8) * 10 * MIB
    assert leak.find(make_window(memory=memory, memory_limit=300 * MIB)).score[0] == 0.0
