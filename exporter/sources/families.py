"""Which families are read from which source, and what each of them is."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Wanted:
    """A family, and the name under which it is remembered."""

    family: str
    signal: str
    pod_level: bool = False
    """Whether on Kubernetes the platform knows it per pod only."""
    event: str = ""
    """Label ``event`` of the series that are meant; empty where they have none."""


@dataclass(frozen=True)
class Counter(Wanted):
    """A family of cumulative counters; series of one container are summed."""


@dataclass(frozen=True)
class Gauge(Wanted):
    """A family of momentary values."""


CADVISOR_COUNTERS: Final = (
    Counter("container_cpu_usage_seconds_total", "cpu"),
    Counter("container_cpu_cfs_periods_total", "cpu_periods"),
    Counter("container_cpu_cfs_throttled_periods_total", "cpu_throttled_periods"),
    Counter("container_cpu_cfs_throttled_seconds_total", "cpu_throttled_seconds"),
    Counter("container_fs_reads_bytes_total", "disk_read"),
    Counter("container_fs_writes_bytes_total", "disk_write"),
    Counter("container_network_receive_bytes_total", "network_receive", pod_level=True),
    Counter("container_network_transmit_bytes_total", "network_transmit", pod_level=True),
    Counter("container_network_receive_packets_total", "network_packets_in", pod_level=True),
    Counter("container_network_transmit_packets_total", "network_packets_out", pod_level=True),
    Counter("container_pressure_cpu_waiting_seconds_total", "cpu_waiting"),
    Counter("container_pressure_memory_waiting_seconds_total", "memory_waiting"),
    Counter("container_pressure_io_waiting_seconds_total", "io_waiting"),
    Counter("container_perf_events_total", "instructions", event="instructions"),
    Counter("container_perf_events_total", "cache_misses", event="cache-misses"),
)

CADVISOR_GAUGES: Final = (
    Gauge("container_memory_working_set_bytes", "memory"),
    Gauge("container_file_descriptors", "file_descriptors"),
    Gauge("container_threads", "threads"),
    Gauge("container_processes", "processes"),
    Gauge("container_start_time_seconds", "started"),
    Gauge("container_spec_cpu_quota", "cpu_quota"),
    Gauge("container_spec_cpu_period", "cpu_period"),
    Gauge("container_spec_cpu_shares", "cpu_shares"),
    Gauge("container_spec_memory_limit_bytes", "memory_limit"),
    Gauge("container_spec_memory_reservation_limit_bytes", "memory_request"),
    Gauge("container_oom_events_total", "oom_kills"),
)

PROBE_COUNTERS: Final = (
    Counter("container_thread_creations_total", "thread_creations"),
    Counter("container_thread_exits_total", "thread_exits"),
    Counter("container_file_opens_total", "file_opens"),
    Counter("container_block_read_bytes_total", "disk_read"),
    Counter("container_block_write_bytes_total", "disk_write"),
    Counter("container_pressure_cpu_waiting_seconds_total", "cpu_waiting"),
    Counter("container_pressure_memory_waiting_seconds_total", "memory_waiting"),
    Counter("container_pressure_io_waiting_seconds_total", "io_waiting"),
)

SYSCALLS: Final = "container_syscalls_total"
PAIRS: Final = "container_syscall_pairs_total"
CONNECTIONS: Final = "container_connections_total"
MACHINE_CPU: Final = "machine_cpu_cores"
MACHINE_MEMORY: Final = "machine_memory_bytes"

CADVISOR_WANTED: Final = frozenset(
    {entry.family for entry in (*CADVISOR_COUNTERS, *CADVISOR_GAUGES)} | {MACHINE_CPU, MACHINE_MEMORY}
)
PROBE_UP: Final = "cpp_probe_up"
PROBE_LOST: Final = "cpp_probe_lost_events_total"
PROBE_WANTED: Final = frozenset(
    {entry.family for entry in PROBE_COUNTERS} | {SYSCALLS, CONNECTIONS, PROBE_UP, PROBE_LOST}
)
PROBE_SELDOM: Final = frozenset({PAIRS})
"""Most of the probe's series, which change slowly."""
