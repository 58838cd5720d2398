"""State → series: which number goes under which name."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from exporter.assess.scores import INTERFERENCE
from exporter.durations import format_duration
from exporter.history.calls import LabelledRates
from exporter.history.identity import Identity
from exporter.history.signals import COLUMN, LEVELS, RESOURCES
from exporter.publish.exposition import Page, Series, write_labels
from exporter.sections import ForecastConfig, ThresholdsConfig
from exporter.state import State

MAX_SERIES = 120
"""Series a container may have; system calls by name give way first, then protocols."""
OTHER = "other"

Counts = NDArray[np.intp]

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
    counts = np.zeros(len(page.identities), np.intp)
    for series in (*_usage(state), *_allocation(state), *_forecasts(state, config), *_scores(state)):
        page.add(series)
        counts += ~np.isnan(series.values)
    counts += _add_caused(page, state)
    counts += _add_reasons(page, state)
    named, unnamed = _add_connections(page, state, MAX_SERIES - counts - 1)
    _, more = _add_syscalls(page, state, MAX_SERIES - counts - named)
    return unnamed + more


def _usage(state: State) -> Iterator[Series]:
    for name, signal, labels in _NOW:
        yield Series(name, state.snapshot.signals[:, COLUMN[signal]], labels)


def _allocation(state: State) -> Iterator[Series]:
    snapshot = state.snapshot
    yield Series("cpp_cpu_limit_cores", snapshot.allocation.cpu_limit)
    yield Series("cpp_memory_limit_bytes", snapshot.allocation.memory_limit)
    yield Series("cpp_cpu_request_cores", snapshot.allocation.cpu_request)
    yield Series("cpp_memory_request_bytes", snapshot.allocation.memory_request)
    yield Series("cpp_oom_kills_total", snapshot.oom_kills)
    yield Series("cpp_container_start_timestamp_seconds", snapshot.started, digits=15)
    info = [
        write_labels({"workload": who.workload, "tenant": who.tenant, "image": who.image, "runtime": who.runtime})
        for who in snapshot.identities
    ]
    yield Series("cpp_container_info", np.ones(len(info)), row_labels=info)


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


def _add_caused(page: Page, state: State) -> Counts:
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


def _add_reasons(page: Page, state: State) -> Counts:
    """Add why scores are high; return how many series each container got."""
    lines = []
    for row, found in enumerate(state.scores.causes):
        for cause in found:
            more = write_labels({"score": cause.score, "reason": cause.name})
            lines.append(f"cpp_reason_ratio{{{page.identities[row]},{more}}} {cause.strength:.9g}")
    page.add_lines("cpp_reason_ratio", lines)
    return np.array([len(found) for found in state.scores.causes], np.intp)


def _add_connections(page: Page, state: State, room: Counts) -> tuple[Counts, int]:
    """Add the protocols that each container ever spoke."""
    connections = state.snapshot.connections
    spoken = connections.used & (np.array(connections.names) != OTHER)
    ranked = np.where(spoken, np.arange(len(connections.names)), -1)
    return _add_named(page, ("cpp_connections_per_second", "protocol"), connections, ranked, room)


def _add_syscalls(page: Page, state: State, room: Counts) -> tuple[Counts, int]:
    """Add the followed calls, those that are frequent for long first."""
    order = np.argsort(-state.snapshot.followed_level, axis=1, kind="stable")
    ranked = np.take_along_axis(state.snapshot.followed, order, axis=1)
    return _add_named(page, ("cpp_syscalls_per_second", "syscall"), state.snapshot.syscalls, ranked, room)


def _add_named(
    page: Page, family: tuple[str, str], rates: LabelledRates, ranked: Counts, room: Counts
) -> tuple[Counts, int]:
    """Add the rates at the columns ``ranked`` [rows, places], as many as there is room for, all else as other.

    Return how many series each container got, and how many of the ranked were left out.
    """
    (name, label), counts, dropped = family, np.zeros(len(room), np.intp), 0
    labels = [write_labels({label: value}) for value in rates.names]
    seen, held = np.isfinite(rates.held).any(axis=1), np.nan_to_num(rates.held)
    for row in np.flatnonzero(seen).tolist():
        who, values = page.identities[row], held[row].tolist()
        columns = [column for column in ranked[row].tolist() if column >= 0]
        kept = columns[: max(0, int(room[row]) - 1)]
        dropped += len(columns) - len(kept)
        counts[row] = len(kept) + 1
        told = [(labels[column], values[column]) for column in kept]
        rest = sum(values) - sum(values[column] for column in kept)
        told.append((f'{label}="{OTHER}"', max(rest, 0.0)))
        page.add_later(name, len(told), partial(_rates, f"{name}{{{who},", told))
    return counts, dropped


def _rates(begin: str, told: list[tuple[str, float]]) -> bytes:
    return "".join(f"{begin}{labels}}} {value:.9g}\n" for labels, value in told).encode()


def add_thresholds(page: Page, thresholds: ThresholdsConfig) -> None:
    """Add where each score becomes an alarm."""
    for score, value in thresholds.model_dump().items():
        page.add_one("cpp_alarm_threshold_ratio", value, score=score)
