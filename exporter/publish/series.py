"""State → series: which number goes under which name."""

from collections.abc import Iterator

import numpy as np

from exporter.assess.scores import INTERFERENCE
from exporter.config import ForecastConfig, ThresholdsConfig
from exporter.durations import format_duration
from exporter.history.identity import Identity
from exporter.history.signals import COLUMN, LEVELS, RESOURCES
from exporter.publish.exposition import Page, Series, write_labels
from exporter.state import State

MAX_SERIES = 120
"""Series a container may have; system calls by name give way first."""

FORECASTS = (
    "cpp_cpu_forecast{}_cores",
    "cpp_memory_forecast{}_bytes",
    "cpp_disk_io_forecast{}_bytes_per_second",
    "cpp_network_io_forecast{}_bytes_per_second",
    "cpp_file_descriptors_forecast{}",
    "cpp_threads_forecast{}",
)
"""Names in the order of ``RESOURCES``; the braces take "_due"."""

_NOW = (
    ("cpp_cpu_usage_cores", "cpu", ""),
    ("cpp_memory_working_set_bytes", "memory", ""),
    ("cpp_disk_io_bytes_per_second", "disk_read", 'direction="read"'),
    ("cpp_disk_io_bytes_per_second", "disk_write", 'direction="write"'),
    ("cpp_network_io_bytes_per_second", "network_receive", 'direction="receive"'),
    ("cpp_network_io_bytes_per_second", "network_transmit", 'direction="transmit"'),
    ("cpp_file_descriptors", "file_descriptors", ""),
    ("cpp_threads", "threads", ""),
    ("cpp_processes", "processes", ""),
    ("cpp_cpu_throttled_ratio", "cpu_throttled", ""),
    ("cpp_thread_creations_per_second", "thread_creations", ""),
    ("cpp_thread_exits_per_second", "thread_exits", ""),
    ("cpp_file_opens_per_second", "file_opens", ""),
)


def identity_labels(node: str, identity: Identity) -> str:
    """Return the identity labels of a container, written."""
    return write_labels(
        {
            "node": node,
            "namespace": identity.namespace,
            "pod": identity.pod,
            "container": identity.container,
            "container_id": identity.container_id,
        }
    )


def add_containers(page: Page, state: State, config: ForecastConfig) -> int:
    """Add all series about containers; return how many were left out to stay within MAX_SERIES a container."""
    plain = [*_usage(state), *_allocation(state), *_connections(state), *_forecasts(state, config), *_scores(state)]
    counts = np.zeros(len(page.identities), np.intp)
    for series in plain:
        page.add(series)
        counts += ~np.isnan(series.values)
    counts += _add_caused(page, state)
    return _add_syscalls(page, state, MAX_SERIES - counts)


def _usage(state: State) -> Iterator[Series]:
    for name, signal, labels in _NOW:
        yield Series(name, state.snapshot.signals[:, COLUMN[signal]], labels)


def _allocation(state: State) -> Iterator[Series]:
    snapshot = state.snapshot
    yield Series("cpp_cpu_limit_cores", snapshot.allocation.cpu_limit)
    yield Series("cpp_memory_limit_bytes", snapshot.allocation.memory_limit)
    yield Series("cpp_memory_request_bytes", snapshot.allocation.memory_request)
    yield Series("cpp_oom_kills_total", snapshot.oom_kills)
    yield Series("cpp_container_start_timestamp_seconds", snapshot.started, digits=15)
    info = [
        write_labels({"workload": who.workload, "tenant": who.tenant, "image": who.image, "runtime": who.runtime})
        for who in snapshot.identities
    ]
    yield Series("cpp_container_info", np.ones(len(info)), row_labels=info)


def _connections(state: State) -> Iterator[Series]:
    connections = state.snapshot.connections
    for column, protocol in enumerate(connections.names):
        yield Series("cpp_connections_per_second", connections.held[:, column], write_labels({"protocol": protocol}))


def _forecasts(state: State, config: ForecastConfig) -> Iterator[Series]:
    for resource, name in enumerate(FORECASTS):
        for index, seconds in enumerate(config.horizons):
            horizon = format_duration(seconds)
            for level, quantile in enumerate(LEVELS):
                labels = write_labels({"horizon": horizon, "level": f"{quantile:g}"})
                yield Series(name.format(""), state.quantiles[:, resource, index, level], labels)
            yield Series(name.format("_due"), state.due[:, resource, index], write_labels({"horizon": horizon}))
    for index, resource_name in enumerate(RESOURCES):
        trusted = state.trusted[:, index].astype(np.float32)
        yield Series("cpp_forecast_trusted", trusted, write_labels({"resource": resource_name}))


def _scores(state: State) -> Iterator[Series]:
    scores = state.scores
    yield Series("cpp_cpu_burst_ratio", scores.cpu_burst)
    yield Series("cpp_memory_leak_ratio", scores.memory_leak)
    yield Series("cpp_network_flood_ratio", scores.network_flood)
    yield Series("cpp_memory_exhaustion_seconds", scores.exhaustion_seconds)
    yield Series("cpp_anomaly_ratio", scores.anomaly)
    yield Series("cpp_security_risk_ratio", scores.security_risk)
    for index, resource in enumerate(INTERFERENCE):
        labels = write_labels({"resource": resource})
        yield Series("cpp_interference_suffered_ratio", scores.suffered[:, index], labels)


def _add_caused(page: Page, state: State) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Add who is in whose way; return how many series each container got."""
    scores, identities = state.scores, state.snapshot.identities
    rows, resources, places = np.nonzero((scores.victims >= 0) & (scores.caused > 0))
    lines = []
    for row, resource, place in zip(rows.tolist(), resources.tolist(), places.tolist(), strict=True):
        victim = identities[int(scores.victims[row, resource, place])]
        more = write_labels({"resource": INTERFERENCE[resource], "victim": victim.container or victim.pod})
        value = scores.caused[row, resource, place]
        lines.append(f"cpp_interference_caused_ratio{{{page.identities[row]},{more}}} {value:.9g}")
    page.add_lines("cpp_interference_caused_ratio", lines)
    return np.bincount(rows, minlength=len(identities))


def _add_syscalls(page: Page, state: State, room: np.ndarray[tuple[int], np.dtype[np.intp]]) -> int:
    """Add as many calls by name as there is room for, most frequent first, the rest as other."""
    calls, followed = state.snapshot.syscalls, state.snapshot.followed
    labels = [write_labels({"syscall": name}) for name in calls.names]
    lines, dropped = [], 0
    for row, who in enumerate(page.identities):
        rates = calls.held[row]
        total = float(np.nansum(rates))
        if not np.isfinite(rates).any():
            continue
        named = sorted((slot for slot in followed[row].tolist() if slot >= 0), key=lambda call: -rates[call])
        kept = named[: max(0, int(room[row]) - 1)]
        dropped += len(named) - len(kept)
        rest = total
        for call in kept:
            rate = float(np.nan_to_num(rates[call]))
            rest -= rate
            lines.append(f"cpp_syscalls_per_second{{{who},{labels[call]}}} {rate:.9g}")
        lines.append(f'cpp_syscalls_per_second{{{who},syscall="other"}} {max(rest, 0.0):.9g}')
    page.add_lines("cpp_syscalls_per_second", lines)
    return dropped


def add_thresholds(page: Page, thresholds: ThresholdsConfig) -> None:
    """Add where each score becomes an alarm."""
    for score, value in thresholds.model_dump().items():
        page.add_one("cpp_alarm_threshold_ratio", value, score=score)
