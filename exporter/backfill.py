"""Past use from Prometheus → the forecast's history: of all at start, later of workloads that come from elsewhere."""

import json
import time

import numpy as np
import structlog
from numpy.typing import NDArray

from exporter.config import Config
from exporter.history.identity import Identity
from exporter.history.signals import RESOURCES
from exporter.history.store import History
from exporter.history.windows import Grid
from exporter.sections import BackfillConfig
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
_ALL = (*_QUERIES, _THROTTLED, _PRESSED, _KILLED)
_OF_WORKLOAD = (
    "avg by (workload) (({query}) * on (node, namespace, pod, container, container_id) group_left (workload) "
    "max by (node, namespace, pod, container, container_id, workload) (cpp_container_info{workload}))"
)
_MOST_ELDERS = 480
"""Steps of an elder's past that are asked for: short rhythms and their errors are learned from them in a second."""


def backfill(history: History, config: Config, source: BackfillConfig, now: float, since: float = 0.0) -> int:
    """Fill in what Prometheus knows, after ``since``, of the containers that live ``now``, the time of ``history``.

    What was seen by this exporter itself stays. Return the number of steps filled. Raise HistoryUnavailableError.
    """
    past = _past(history, config, source, now, since)
    use, ceilings = _bounded(past)
    filled = history.demand.fill(use, ceilings)
    if filled:
        history.steps += 1
        _log.info("past read from Prometheus", steps=filled, containers=len(history.registry) - 1)
    return filled


def elders_past(config: Config, source: BackfillConfig, identity: Identity, now: float) -> Grid | None:
    """Return what containers of the workload of ``identity`` did anywhere until ``now``, a grid of one row.

    None where Prometheus knows of none. Raise HistoryUnavailableError.
    """
    step = config.forecast.step
    last = now // step * step
    start = last - (min(_MOST_ELDERS, config.history.forecast_window // step) - 1) * step
    said = np.full((1, len(_ALL), round((last - start) / step) + 1), np.nan, np.float32)
    of = json.dumps(identity.namespace), json.dumps(identity.container)
    which, workload = "{{namespace={},container={}}}".format(*of), f"{{workload={json.dumps(identity.workload)}}}"
    deadline = time.monotonic() + source.timeout
    for index, query in enumerate(_ALL):
        text = _OF_WORKLOAD.replace("{workload}", workload).replace("{query}", _written(query, which, step))
        for _, (stamps, values) in fetch_labelled(source.url, text, (start, last), step, _left(deadline)):
            said[0, index, np.round((stamps - start) / step).astype(np.intp)] = values
    use, ceilings = _bounded(said)
    zero = np.zeros(1, np.int64)
    return None if np.isnan(use).all() else Grid(step, last, zero, zero, use, ceilings, ~np.isnan(ceilings))


def _written(query: str, which: str, step: float) -> str:
    return query.replace("{which}", which).replace("{step}", f"{step:g}s")


def _left(deadline: float) -> float:
    return max(1.0, deadline - time.monotonic())


def _bounded(said: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return use [rows, resources, steps] and ceilings [rows, 2, steps]; what throttling held back is not known."""
    use = said[:, : len(_QUERIES)].copy()
    throttled, pressed, killed = np.moveaxis(said[:, len(_QUERIES) :], 1, 0)
    memory = RESOURCES.index("memory")
    use[:, memory] = np.fmax(use[:, memory], killed)
    cpu = np.where(np.isfinite(throttled), use[:, RESOURCES.index("cpu")], np.nan)
    return use, np.stack([cpu, np.where(np.isfinite(pressed), np.inf, np.nan)], axis=1).astype(np.float32)


def _past(history: History, config: Config, source: BackfillConfig, now: float, since: float) -> NDArray[np.float32]:
    """Return [rows, resources and bounds, steps], up to the last step that has ended."""
    step = config.forecast.step
    last = now // step * step
    window = min(source.window, config.history.forecast_window, max(now - since, step))
    start = last - window // step * step + step
    past = np.full((len(history.registry), len(_ALL), round((last - start) / step) + 1), np.nan, np.float32)
    alive = "|".join(identity.container_id for identity in history.registry.identities if identity.container_id)
    which, deadline = f'{{node={json.dumps(config.node)},container_id=~"{alive}"}}', time.monotonic() + source.timeout
    for index, query in enumerate(_ALL):
        text = _written(query, which, step)
        for labels, (stamps, values) in fetch_labelled(source.url, text, (start, last), step, _left(deadline)):
            row = history.registry.row(labels.get("container_id", ""))
            if row is not None:
                past[row, index, np.round((stamps - start) / step).astype(np.intp)] = values
    return past
