from collections.abc import Callable

import numpy as np

from exporter.assess import pressed
from exporter.history.windows import Window

MakeWindow = Callable[..., Window]


def _cpu(level: float, late: float, minutes: int = 60, last: int = 3, noise: float = 0.05) -> np.ndarray:
    cpu = level * np.random.default_rng(3).normal(1, noise, minutes)
    cpu[-last:] = late
    return cpu


def test_use_at_the_limit_by_a_container_not_used_to_it_is_an_alarm(make_window: MakeWindow) -> None:
    assert pressed.find(make_window(step=60.0, cpu=_cpu(0.05, 0.95), cpu_limit=1.0))[0] > 0.8
    assert pressed.find(make_window(step=60.0, cpu=_cpu(0.05, 0.95, minutes=6), cpu_limit=1.0))[0] > 0.8


def test_use_that_is_always_near_the_limit_is_none(make_window: MakeWindow) -> None:
    assert pressed.find(make_window(step=60.0, cpu=_cpu(0.85, 0.95), cpu_limit=1.0))[0] < 0.5


def test_far_over_the_usual_but_far_from_the_limit_is_none(make_window: MakeWindow) -> None:
    assert pressed.find(make_window(step=60.0, cpu=_cpu(0.02, 0.5), cpu_limit=1.0))[0] == 0


def test_without_a_limit_or_in_the_first_minute_nothing_presses(make_window: MakeWindow) -> None:
    assert pressed.find(make_window(step=60.0, cpu=_cpu(0.05, 0.95)))[0] == 0
    young = make_window(step=15.0, cpu=_cpu(0.05, 0.95), cpu_limit=1.0, age=50.0)
    assert pressed.find(young)[0] == 0
