"""Every metric that the exporter serves: one table, from which exposition, docs and checks are made."""

from dataclasses import dataclass
from typing import Final

IDENTITY: Final = ("node", "namespace", "pod", "container", "container_id")
NODE: Final = ("node",)


@dataclass(frozen=True)
class Metric:
    """One metric family."""

    name: str
    unit: str
    help: str
    labels: tuple[str, ...] = IDENTITY
    kind: str = "gauge"


def _of(*more: str) -> tuple[str, ...]:
    return (*IDENTITY, *more)


_NOW = (
    Metric("cpp_cpu_usage_cores", "cores", "CPU in use over the last interval"),
    Metric("cpp_memory_working_set_bytes", "bytes", "Memory that cannot be reclaimed without pressure"),
    Metric("cpp_disk_io_bytes_per_second", "bytes/s", "Bytes moved to and from block devices", _of("direction")),
    Metric("cpp_network_io_bytes_per_second", "bytes/s", "Bytes moved over network interfaces", _of("direction")),
    Metric("cpp_file_descriptors", "descriptors", "Open file descriptors"),
    Metric("cpp_threads", "threads", "Threads"),
    Metric("cpp_processes", "processes", "Processes"),
)
_ALLOCATION = (
    Metric("cpp_cpu_limit_cores", "cores", "CPU limit in force; absent where unset"),
    Metric("cpp_memory_limit_bytes", "bytes", "Memory limit in force; absent where unset"),
    Metric("cpp_cpu_request_cores", "cores", "CPU request on Kubernetes; absent elsewhere"),
    Metric("cpp_memory_request_bytes", "bytes", "Memory request or soft limit; absent where unset"),
    Metric("cpp_cpu_throttled_ratio", "ratio", "Share of CFS periods in which the container was throttled"),
    Metric("cpp_oom_kills_total", "kills", "Processes killed for want of memory", kind="counter"),
    Metric("cpp_container_start_timestamp_seconds", "seconds", "When the container started, since the epoch"),
    Metric(
        "cpp_container_info",
        "none",
        "Always 1; tells the workload, tenant, image and runtime of a container",
        _of("workload", "tenant", "image", "runtime"),
    ),
)
_BEHAVIOUR = (
    Metric(
        "cpp_syscalls_per_second", "calls/s", "System calls by name; the rarer ones summed as other", _of("syscall")
    ),
    Metric("cpp_thread_creations_per_second", "threads/s", "Threads and processes created"),
    Metric("cpp_thread_exits_per_second", "threads/s", "Threads and processes ended"),
    Metric("cpp_file_opens_per_second", "files/s", "Files opened"),
    Metric("cpp_connections_per_second", "connections/s", "Connections begun, by destination", _of("protocol")),
)
_FORECAST = tuple(
    metric
    for stem, unit, what in (
        ("cpp_cpu_forecast{}_cores", "cores", "CPU"),
        ("cpp_memory_forecast{}_bytes", "bytes", "Working set"),
        ("cpp_disk_io_forecast{}_bytes_per_second", "bytes/s", "Disk traffic"),
        ("cpp_network_io_forecast{}_bytes_per_second", "bytes/s", "Network traffic"),
        ("cpp_file_descriptors_forecast{}", "descriptors", "Open file descriptors"),
        ("cpp_threads_forecast{}", "threads", "Threads"),
    )
    for metric in (
        Metric(stem.format(""), unit, f"{what} forecast for now + horizon, at a quantile", _of("horizon", "level")),
        Metric(stem.format("_due"), unit, f"{what} that was forecast for now, horizon ago (median)", _of("horizon")),
    )
)
_QUALITY = (
    Metric(
        "cpp_forecast_trusted",
        "bool",
        "1 where the forecast beats the last value lately, covers, and is trained",
        _of("resource"),
    ),
    Metric(
        "cpp_forecast_loss_ratio",
        "ratio",
        "Live error of the forecast against that of the last value; under 1 is better",
        (*NODE, "workload", "resource", "horizon"),
    ),
    Metric(
        "cpp_forecast_coverage_ratio",
        "ratio",
        "Share of actual values at or under the forecast quantile",
        (*NODE, "workload", "resource", "horizon", "level"),
    ),
)
_TRAINING = (
    Metric("cpp_training_passes_total", "passes", "Passes of the training child begun", ("cause",), "counter"),
    Metric(
        "cpp_training_failures_total",
        "passes",
        "Passes that failed: no child, past its deadline, dead, or an answer that cannot be believed",
        ("reason",),
        "counter",
    ),
    Metric(
        "cpp_training_changed_series_total",
        "series",
        "Series learned anew, because their forecast had grown worse or their use stayed far under it",
        ("cause",),
        "counter",
    ),
    Metric("cpp_training_cpu_seconds_total", "seconds", "CPU time of all training children", (), "counter"),
    Metric(
        "cpp_forecast_fitted_timestamp_seconds",
        "seconds",
        "End of the last good training pass, since the epoch; absent until the first one after a start",
        (),
    ),
)
_NODES = (
    Metric("cpp_node_cpu_capacity_cores", "cores", "CPUs of the node; on Kubernetes those that pods may have", NODE),
    Metric("cpp_node_memory_capacity_bytes", "bytes", "Memory of the node; on Kubernetes what pods may have", NODE),
    Metric(
        "cpp_node_cpu_forecast_cores",
        "cores",
        "CPU use of the node (on Kubernetes of its pods) forecast for now + horizon",
        (*NODE, "horizon", "level"),
    ),
    Metric(
        "cpp_node_memory_forecast_bytes",
        "bytes",
        "Memory use of the node (on Kubernetes of its pods) forecast for now + horizon",
        (*NODE, "horizon", "level"),
    ),
)
_SCORES = (
    Metric("cpp_cpu_burst_ratio", "ratio", "How much its CPU use comes in sudden bursts, 0 to 1"),
    Metric("cpp_memory_leak_ratio", "ratio", "How much its memory looks like a leak, 0 to 1"),
    Metric("cpp_network_flood_ratio", "ratio", "How much its traffic looks like a flood, 0 to 1"),
    Metric("cpp_interference_suffered_ratio", "ratio", "How much it is held up by others, 0 to 1", _of("resource")),
    Metric(
        "cpp_interference_caused_ratio",
        "ratio",
        "Its share in a neighbour's trouble, 0 to 1",
        _of("resource", "victim"),
    ),
    Metric(
        "cpp_memory_exhaustion_seconds",
        "seconds",
        "Time to the memory limit at the present growth; absent where none is in sight",
    ),
    Metric("cpp_anomaly_ratio", "ratio", "How unlike its own past it behaves, 0 to 1"),
    Metric("cpp_security_risk_ratio", "ratio", "How risky its behaviour looks, 0 to 1"),
    Metric(
        "cpp_reason_ratio",
        "ratio",
        "How unusual the strongest causes of a high score are, 0 to 1; absent where the score is low",
        _of("score", "reason"),
    ),
    Metric("cpp_alarm_threshold_ratio", "ratio", "Where a score becomes an alarm", ("score",)),
)
_SELF = (
    Metric(
        "cpp_up",
        "bool",
        "1 where the last read of the source succeeded, and the probe says that it counts",
        ("source",),
    ),
    Metric(
        "cpp_last_sample_timestamp_seconds",
        "seconds",
        "Newest sample of the source, since the epoch",
        (*NODE, "source"),
    ),
    Metric("cpp_source_read_duration_seconds", "seconds", "Time that the last read of the source took", ("source",)),
    Metric("cpp_source_errors_total", "reads", "Reads of the source that failed", ("source",), "counter"),
    Metric("cpp_cycle_duration_seconds", "seconds", "Wall time of the last cycle", ()),
    Metric("cpp_cycle_cpu_seconds_total", "seconds", "CPU time of all cycles", (), "counter"),
    Metric("cpp_containers", "containers", "Containers followed", ()),
    Metric("cpp_series", "series", "Series served about containers", ()),
    Metric(
        "cpp_dropped_series_total",
        "times",
        "Times that a series or a container was left out to keep within bounds, counted anew each cycle",
        ("source",),
        "counter",
    ),
)

CATALOGUE: Final[tuple[Metric, ...]] = (
    *_NOW,
    *_ALLOCATION,
    *_BEHAVIOUR,
    *_FORECAST,
    *_QUALITY,
    *_TRAINING,
    *_NODES,
    *_SCORES,
    *_SELF,
)

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}
