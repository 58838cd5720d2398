from collections.abc import Callable

import numpy as np
import pytest

from exporter.assess.leaks import Leaks
from exporter.history.windows import Window
from exporter.persist.arrays import MismatchError

MakeWindow = Callable[..., Window]
MIB = 2.0**20
ALARM = 0.8
STEP, WIDTH = 60.0, 60
START = 1_800_000_000.0
LIMIT = 1000 * MIB
MINUTES = np.arange(1440)


def _play(make_window: MakeWindow, memory: np.ndarray, leaks: Leaks | None = None, **given: object) -> np.ndarray:
    """Score and seconds left every ten minutes of a day of one container."""
    followed, rows = leaks or Leaks(), np.atleast_2d(memory)
    found = []
    for minute in range(5, rows.shape[1], 10):
        seen = rows[:, max(0, minute + 1 - WIDTH) : minute + 1]
        given = {"memory_limit": LIMIT, "age": 1e6, **given}
        look = followed.find(make_window(step=STEP, end=START + STEP * minute, memory=seen, **given))
        found.append((look.score[0], look.exhaustion[0]))
    return np.array(found)


def _noise(size: float) -> np.ndarray:
    return np.random.default_rng(3).normal(0, size * MIB, len(MINUTES))


def _line(onset: int, lasts: int) -> np.ndarray:
    return 300 * MIB + 700 * MIB * np.maximum(MINUTES - onset, 0) / lasts


def _tooth(period: int, size: float) -> np.ndarray:
    return size * MIB * (MINUTES % period / period - 0.5)


@pytest.mark.parametrize("extra", [_noise(2), _tooth(20, 60), _tooth(45, 100), _noise(25)])
def test_a_leak_of_many_hours_is_called_by_half_way_and_its_end_is_known(
    make_window: MakeWindow, extra: np.ndarray
) -> None:
    onset, lasts = 400, 900
    found = _play(make_window, _line(onset, lasts) + extra)
    half = (onset + lasts // 2) // 10 - 1
    assert (found[onset // 10 : half, 0] >= ALARM).any()
    assert (found[: onset // 10, 0] < ALARM).all()
    assert found[half, 1] == pytest.approx(STEP * lasts / 2, rel=0.15)


def test_a_leak_in_stairs_is_called_by_half_way(make_window: MakeWindow) -> None:
    stairs = 300 * MIB + 700 * MIB * (np.maximum(MINUTES - 400, 0) // 50 * 50) / 900
    found = _play(make_window, stairs + _noise(2))
    assert (found[40:85, 0] >= ALARM).any()


@pytest.mark.parametrize(
    "memory",
    [
        300 * MIB + 300 * MIB * (1 - np.exp(-np.maximum(MINUTES - 200, 0) / 120)),
        300 * MIB + 250 * MIB * (MINUTES > 300) + 150 * MIB * (MINUTES > 700),
        400 * MIB + 120 * MIB * np.sin(2 * np.pi * MINUTES / 1440),
        300 * MIB + 540 * MIB * (1 - np.exp(-np.maximum(MINUTES - 60, 0) / 180)),
        300 * MIB + 180 * MIB * ((MINUTES > 300) * 1.0 + (MINUTES > 420) + (MINUTES > 540)),
        450 * MIB + 150 * MIB * np.sin(2 * np.pi * (MINUTES - 600) / 1440),
        300 * MIB + _tooth(200, 250),
        300 * MIB + _noise(60),
        300 * MIB + 0.05 * MIB * MINUTES,
    ],
    ids=[
        "warm-up",
        "steps",
        "daily wave",
        "high warm-up",
        "even steps",
        "high daily wave",
        "saw-tooth",
        "noise",
        "growth that ends in days",
    ],
)
def test_what_only_looks_like_a_leak_is_none(make_window: MakeWindow, memory: np.ndarray) -> None:
    assert _play(make_window, memory + _noise(2))[:, 0].max() < ALARM


@pytest.mark.parametrize("period", [58, 65, 90])
def test_teeth_longer_than_an_hours_window_are_no_leak_once_one_was_seen(make_window: MakeWindow, period: int) -> None:
    found = _play(make_window, 600 * MIB + _tooth(period, 300) + _noise(2))
    assert found[2 * period // 10 :, 0].max() < ALARM


def test_a_leak_that_is_killed_at_its_limit_and_grows_again_is_called_to_its_end(make_window: MakeWindow) -> None:
    grown = (MINUTES + 4) % 70
    found = _play(make_window, 50 * MIB + 950 * MIB * grown / 70 + _noise(2))
    looks = np.arange(5, len(MINUTES), 10)
    assert (found[(grown[looks] > 61) & (looks > 140), 0] >= ALARM).all()


def test_without_a_limit_a_doubling_is_a_leak_without_an_end(make_window: MakeWindow) -> None:
    found = _play(make_window, _line(300, 900), memory_limit=np.nan)
    assert found[-1, 0] >= ALARM
    assert np.isnan(found[:, 1]).all()


def test_a_slow_leak_is_known_at_once_after_a_restart(make_window: MakeWindow) -> None:
    memory, leaks, again = _line(400, 900) + _noise(2), Leaks(), Leaks()
    _play(make_window, memory[:900], leaks)
    again.restore(leaks.export())
    window = make_window(step=STEP, end=START + STEP * 899, memory=memory[840:900], memory_limit=LIMIT, age=1e6)
    assert again.find(window).score[0] >= ALARM
    assert Leaks().find(window).score[0] < ALARM


def test_another_container_inherits_nothing(make_window: MakeWindow) -> None:
    memory, leaks = _line(400, 900), Leaks()
    _play(make_window, memory[:900], leaks)
    window = make_window(
        step=STEP, end=START + STEP * 900, memory=memory[841:901], memory_limit=LIMIT, age=3600.0, lives=np.array([7])
    )
    assert leaks.find(window).score[0] < ALARM


def test_a_raised_limit_counts_at_once(make_window: MakeWindow) -> None:
    memory, leaks = _line(400, 900) + _noise(2), Leaks()
    _play(make_window, memory[:1000], leaks)
    given = {"step": STEP, "end": START + STEP * 999, "memory": memory[940:1000], "age": 1e6}
    near = leaks.find(make_window(memory_limit=LIMIT, **given)).exhaustion[0]
    assert leaks.find(make_window(memory_limit=1.2 * LIMIT, **given)).exhaustion[0] > near + 3600


@pytest.mark.parametrize("jump", [-86400.0, 86400.0 * 400])
def test_a_clock_that_jumps_makes_no_leak(make_window: MakeWindow, jump: float) -> None:
    leaks, memory = Leaks(), 300 * MIB + _noise(2)
    _play(make_window, memory[:900], leaks)
    window = make_window(step=STEP, end=START + jump, memory=memory[840:900], memory_limit=LIMIT, age=1e6)
    assert leaks.find(window).score[0] < ALARM


def test_gaps_of_hours_do_not_hide_a_leak(make_window: MakeWindow) -> None:
    memory = _line(300, 1000) + _noise(2)
    memory[500:560] = np.nan
    assert _play(make_window, memory)[80, 0] >= ALARM


def test_what_is_remembered_stays_bounded_while_containers_come_and_go(make_window: MakeWindow) -> None:
    leaks = Leaks()
    for generation in range(6):
        lives = np.arange(1000) + 1000 * generation
        leaks.find(make_window(step=STEP, end=START + 300 * generation, memory=np.ones((1000, 20)), lives=lives))
    assert sum(array.nbytes for array in leaks.export().values()) < 1e7


def test_no_container_is_no_leak(make_window: MakeWindow) -> None:
    assert len(Leaks().find(make_window(memory=np.zeros((0, 30)))).score) == 0


def test_arrays_of_another_program_are_refused() -> None:
    saved = Leaks().export()
    with pytest.raises(MismatchError):
        Leaks().restore(saved | {"ring": np.zeros((64, 10), np.float32)})
    with pytest.raises(MismatchError):
        Leaks().restore({name: array for name, array in saved.items() if name != "next"})
