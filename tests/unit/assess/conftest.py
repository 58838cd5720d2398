from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exporter.history.signals import COLUMN, SIGNALS
from exporter.history.windows import Window

END = 1_800_000_000.0


def _window(step: float = 2.0, end: float = END, age: float = 7200.0, **given: Any) -> Window:
    series = {name: np.atleast_2d(given.pop(name)) for name in SIGNALS if name in given}
    calls = given.pop("calls", {})
    rows = max([len(values) for values in series.values()] + [len(values) for values in calls.values()])
    width = max((values.shape[1] for values in series.values()), default=30)
    signals = np.full((rows, len(SIGNALS), width), np.nan, dtype=np.float32)
    for name, values in series.items():
        signals[:, COLUMN[name]] = values
    spoken = given.pop("protocols", {})
    rates = np.column_stack([np.asarray(values) for values in calls.values()]) if calls else np.full((rows, 0), np.nan)
    return Window(
        step=step,
        end=end,
        lives=np.asarray(given.pop("lives", np.arange(rows))),
        workloads=np.asarray(given.pop("workloads", np.arange(rows))),
        signals=signals,
        started=np.asarray(given.pop("started", np.full(rows, end - age)), dtype=np.float64),
        cpu_limit=np.broadcast_to(np.float32(given.pop("cpu_limit", np.nan)), rows),
        memory_limit=np.broadcast_to(np.float32(given.pop("memory_limit", np.nan)), rows),
        syscalls=rates.astype(np.float32),
        syscall_names=tuple(calls),
        connections=np.column_stack([np.zeros((rows, 0)), *spoken.values()]).astype(np.float32),
        protocol_names=tuple(spoken),
        node_cpu=np.broadcast_to(np.float32(given.pop("node_cpu", np.nan)), width),
        **given,
    )


@pytest.fixture
def make_window() -> Callable[..., Window]:
    return _window
