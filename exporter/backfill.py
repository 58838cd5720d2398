"""Past use from Prometheus → the forecast's history, once, so that a restart forgets nothing."""

import json
import time

import numpy as np
import structlog
from numpy.typing import NDArray

from exporter.config import BackfillConfig, Config
from exporter.history.signals import RESOURCES
from exporter.history.store import History
from exporter.sources.prometheus import fetch_labelled

_log = structlog.get_logger(__name__)

_QUERIES = (
    "avg_over_time(cpp_cpu_usage_cores{which}[{step}])",
    "max_over_time(cpp_memory_working_set_bytes{which}[{step}])",
    "sum without (direction) (avg_over_time(cpp_disk_io_bytes_per_second{which}[{step}]))",
    "sum without (direction) (avg_over_time(cpp_network_io_bytes_per_second{which}[{step}]))",
    "max_over_time(cpp_file_descriptors{which}[{step}])",
    "max_over_time(cpp_threads{which}[{step}])",
)
"""In the order of RESOURCES."""
_THROTTLED = "max_over_time(cpp_cpu_throttled_ratio{which}[{step}]) > 0.05"
_PRESSED = "max_over_time(cpp_memory_working_set_bytes{which}[{step}]) > 0.95 * cpp_memory_limit_bytes{which}"
_KILLED = "1.2 * cpp_memory_limit_bytes{which} and increase(cpp_oom_kills_total{which}[{step}]) > 0"
"""What each cycle would have said of demand beyond use: see ``history.demand.bounds``."""


def backfill(history: History, config: Config, source: BackfillConfig, now: float) -> int:
    """Write what Prometheus knows of the containers that live ``now``; return the number of steps written.

    What was remembered until then is moved further back or out. Raise HistoryUnavailableError.
    """
    past = _past(history, config, source, now)
    seen = np.flatnonzero(np.isfinite(past).any(axis=(0, 1)))
    if not len(seen):
        return 0
    for column in range(seen[0], past.shape[2]):
        history.demand.write(*_step(past[:, :, column]))
    written: int = int(past.shape[2] - seen[0])
    history.steps += 1
    _log.info("past read from Prometheus", steps=written, containers=len(history.registry) - 1)
    return written


def _step(said: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return use [rows, resources] and ceilings [rows, 2] of one step; what throttling held back then is not known."""
    use = said[:, : len(_QUERIES)].copy()
    throttled, pressed, killed = said[:, len(_QUERIES) :].T
    memory = RESOURCES.index("memory")
    use[:, memory] = np.fmax(use[:, memory], killed)
    cpu = np.where(np.isfinite(throttled), use[:, RESOURCES.index("cpu")], np.nan)
    return use, np.column_stack([cpu, np.where(np.isfinite(pressed), np.inf, np.nan)]).astype(np.float32)


def _past(history: History, config: Config, source: BackfillConfig, now: float) -> NDArray[np.float32]:
    """Return [rows, resources and bounds, steps], up to the last step that has ended."""
    step = config.forecast.step
    last = now // step * step
    window = min(source.window, config.history.forecast_window)
    start = last - window // step * step + step
    queries = (*_QUERIES, _THROTTLED, _PRESSED, _KILLED)
    past = np.full((len(history.registry), len(queries), round((last - start) / step) + 1), np.nan, np.float32)
    alive = "|".join(identity.container_id for identity in history.registry.identities if identity.container_id)
    which, deadline = f'{{node={json.dumps(config.node)},container_id=~"{alive}"}}', time.monotonic() + source.timeout
    for index, query in enumerate(queries):
        text = query.format(which=which, step=f"{step:g}s")
        left = max(1.0, deadline - time.monotonic())
        for labels, (stamps, values) in fetch_labelled(source.url, text, (start, last), step, left):
            row = history.registry.row(labels.get("container_id", ""))
            if row is not None:
                past[row, index, np.round((stamps - start) / step).astype(np.intp)] = values
    return past
