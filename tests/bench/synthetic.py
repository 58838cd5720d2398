"""A node's exposition text made in code, of the size and shape that cAdvisor and cpp-probe serve.

205 samples and about 35 kB a container, of which the exporter wants about one in ten, as on real nodes.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass


def _words(text: str) -> list[str]:
    return text.split()


EPOCH = 1_800_000_000.0
SAMPLES = 205
_MIB = 1 << 20
_DEVICES = ("/dev/vda", "/dev/vdb")
_TCP_STATES = _words("established synsent synrecv finwait1 finwait2 timewait close closewait lastack listen closing")
_TCP_DETAILS = 99
_SYSCALLS = _words(
    "read write close futex epoll_pwait nanosleep openat fstat mmap munmap recvfrom sendto accept4 getpid "
    "clock_nanosleep sched_yield madvise mprotect brk ioctl rt_sigaction rt_sigprocmask fcntl lseek pread64 "
    "pwrite64 getdents64 newfstatat poll ppoll socket connect bind setsockopt getsockopt dup3 pipe2 wait4 exit_group "
    "clone3"
)


@dataclass(frozen=True)
class Metric:
    """One family of a container: how fast it grows or where it stands, and its further labels."""

    name: str
    kind: str
    amount: float
    labels: tuple[str, ...] = ("",)


def _labelled(name: str, values: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(f'{name}="{value}"' for value in values)


_WANTED = (
    Metric("container_cpu_usage_seconds_total", "counter", 0.2, _labelled("cpu", ["cpu00", "cpu01"])),
    Metric("container_cpu_cfs_periods_total", "counter", 10),
    Metric("container_cpu_cfs_throttled_periods_total", "counter", 0.1),
    Metric("container_cpu_cfs_throttled_seconds_total", "counter", 0.01),
    Metric("container_fs_reads_bytes_total", "counter", 4096, _labelled("device", _DEVICES)),
    Metric("container_fs_writes_bytes_total", "counter", 65536, _labelled("device", _DEVICES)),
    Metric("container_network_receive_bytes_total", "counter", 20_000, _labelled("interface", ["eth0"])),
    Metric("container_network_transmit_bytes_total", "counter", 50_000, _labelled("interface", ["eth0"])),
    Metric("container_network_receive_packets_total", "counter", 40, _labelled("interface", ["eth0"])),
    Metric("container_network_transmit_packets_total", "counter", 60, _labelled("interface", ["eth0"])),
    Metric("container_pressure_cpu_waiting_seconds_total", "counter", 0.02),
    Metric("container_pressure_memory_waiting_seconds_total", "counter", 0.0),
    Metric("container_pressure_io_waiting_seconds_total", "counter", 0.005),
    Metric("container_memory_working_set_bytes", "gauge", 180 * _MIB),
    Metric("container_file_descriptors", "gauge", 48),
    Metric("container_threads", "gauge", 14),
    Metric("container_processes", "gauge", 3),
    Metric("container_start_time_seconds", "constant", EPOCH - 90_000),
    Metric("container_spec_cpu_quota", "constant", 100_000),
    Metric("container_spec_cpu_period", "constant", 100_000),
    Metric("container_spec_memory_limit_bytes", "constant", 512 * _MIB),
    Metric("container_spec_memory_reservation_limit_bytes", "constant", 128 * _MIB),
    Metric("container_oom_events_total", "constant", 0),
)
_TCP = _labelled("tcp_state", _TCP_STATES)
_NUMA = tuple(
    f'node="0",scope="{s}",type="{t}"' for s in ("container", "hierarchy") for t in ("file", "anon", "unevictable")
)
_FAILURES = tuple(
    f'failure_type="{t}",scope="{s}"' for s in ("container", "hierarchy") for t in ("pgfault", "pgmajfault")
)
_UNWANTED = (
    Metric("container_network_tcp_usage_total", "constant", 0, _TCP),
    Metric("container_network_tcp6_usage_total", "constant", 0, _TCP),
    Metric(
        "container_network_advance_tcp_stats_total",
        "constant",
        0,
        _labelled("tcp_state", [f"Ext{index:02}" for index in range(_TCP_DETAILS)]),
    ),
    Metric("container_memory_numa_pages", "constant", 0, _NUMA),
    Metric("container_memory_failures_total", "constant", 41, _FAILURES),
    Metric("container_tasks_state", "constant", 0, _labelled("state", _words("sleeping running stopped iowait"))),
)
_PLAIN = _words(
    "memory_usage_bytes memory_rss memory_cache memory_swap memory_mapped_file memory_max_usage_bytes memory_failcnt "
    "memory_kernel_usage cpu_user_seconds_total cpu_system_seconds_total cpu_load_average_10s last_seen sockets "
    "threads_max ulimits_soft spec_cpu_shares spec_memory_swap_limit_bytes health_state referenced_bytes "
    "creation_time_seconds cpu_schedstat_run_seconds_total pressure_cpu_stalled_seconds_total "
    "pressure_memory_stalled_seconds_total pressure_io_stalled_seconds_total memory_total_active_file_bytes "
    "memory_total_inactive_file_bytes memory_file_dirty_bytes memory_file_writeback_bytes memory_migrate "
    "memory_pgscan_total memory_pgsteal_total memory_events_high_total memory_events_max_total "
    "memory_workingset_refault_anon_total memory_workingset_refault_file_total cpu_load_d_average_10s "
    "cpu_schedstat_run_periods_total cpu_schedstat_runqueue_seconds_total cpu_cfs_burst_periods_total "
    "cpu_cfs_burst_seconds_total fs_inodes_free fs_inodes_total fs_limit_bytes fs_usage_bytes fs_io_current"
)
_PAIRS = tuple(f'from="{first}",to="{second}"' for first in _SYSCALLS[:8] for second in _SYSCALLS[:8])
"""As many as the probe tells apart of each of 500 containers."""
_PROBE = (
    Metric("container_syscalls_total", "counter", 400, _labelled("syscall", _SYSCALLS)),
    Metric("container_syscall_pairs_total", "counter", 100, _PAIRS),
    Metric("container_thread_creations_total", "counter", 0.5),
    Metric("container_thread_exits_total", "counter", 0.5),
    Metric("container_file_opens_total", "counter", 12),
    Metric("container_connections_total", "counter", 2, _labelled("protocol", ["postgresql", "redis", "other"])),
    Metric("container_block_read_bytes_total", "counter", 4000),
    Metric("container_block_write_bytes_total", "counter", 66_000),
    Metric("container_pressure_cpu_waiting_seconds_total", "counter", 0.02),
    Metric("container_pressure_memory_waiting_seconds_total", "counter", 0.0),
    Metric("container_pressure_io_waiting_seconds_total", "counter", 0.005),
)


def _cadvisor() -> tuple[Metric, ...]:
    rest = SAMPLES - sum(len(metric.labels) for metric in (*_WANTED, *_UNWANTED))
    plain = tuple(Metric(f"container_{name}", "constant", 4096) for name in _PLAIN[:rest])
    return tuple(sorted((*_WANTED, *_UNWANTED, *plain), key=lambda metric: metric.name))


class Node:
    """Text of one node with so many containers; later texts have grown counters and moved gauges."""

    def __init__(self, containers: int) -> None:
        self.names = [f"service-{index // 4:03}-{index % 4}" for index in range(containers)]
        self.ids = [hashlib.sha256(name.encode()).hexdigest() for name in self.names]
        self._blocks: dict[Metric, str] = {}

    def cadvisor(self, at: float) -> bytes:
        """Return what cAdvisor would serve at ``at``, epoch seconds."""
        identity = [
            f'id="/docker/{cid}",image="shop/{name[:11]}:1.4.2",name="{name}"'
            for cid, name in zip(self.ids, self.names, strict=True)
        ]
        machine = "# TYPE machine_cpu_cores gauge\nmachine_cpu_cores 64\n# TYPE machine_memory_bytes gauge\n"
        return (self._text(_cadvisor(), identity, at) + machine + "machine_memory_bytes 274877906944\n").encode()

    def probe(self, at: float) -> bytes:
        """Return what cpp-probe would serve at ``at``."""
        return self._text(_PROBE, [f'id="/docker/{cid}"' for cid in self.ids], at).encode()

    def _text(self, metrics: tuple[Metric, ...], identity: list[str], at: float) -> str:
        stamp = str(round(at * 1000))
        return "".join(self._block(metric, identity, at).replace("\t", stamp) for metric in metrics)

    def _block(self, metric: Metric, identity: list[str], at: float) -> str:
        """Return a family with a tab for each timestamp; families that never change are written once."""
        if metric.kind == "constant" and metric in self._blocks:
            return self._blocks[metric]
        kind = "counter" if metric.name.endswith("_total") else "gauge"
        head = f"# HELP {metric.name} As served by the source.\n# TYPE {metric.name} {kind}\n"
        self._blocks[metric] = block = head + "".join(_lines(metric, identity, at))
        return block


class Churning(Node):
    """A node of so many lasting containers, and one more each second that lives for ``life`` seconds."""

    def __init__(self, containers: int, life: int) -> None:
        super().__init__(containers)
        self._lasting, self._life = self.names, life

    def cadvisor(self, at: float) -> bytes:
        """Return what cAdvisor would serve at ``at`` of those who live then."""
        self._turn(at)
        return super().cadvisor(at)

    def probe(self, at: float) -> bytes:
        """Return what cpp-probe would serve at ``at`` of those who live then."""
        self._turn(at)
        return super().probe(at)

    def _turn(self, at: float) -> None:
        newest = int(at - EPOCH)
        jobs = [f"job-{second:06}" for second in range(max(newest - self._life + 1, 0), newest + 1)]
        self.names = [*self._lasting, *jobs]
        self.ids = [hashlib.sha256(name.encode()).hexdigest() for name in self.names]
        self._blocks.clear()


def _lines(metric: Metric, identity: list[str], at: float) -> Iterator[str]:
    for row, who in enumerate(identity):
        swing = 1 + 0.3 * math.sin(at / 600 + row)
        for place, more in enumerate(metric.labels):
            labels = f"{who},{more}" if more else who
            yield f"{metric.name}{{{labels}}} {_value(metric, at, swing, 1 + row % 5 + place)} \t\n"


def _value(metric: Metric, at: float, swing: float, scale: int) -> str:
    if metric.kind == "constant":
        return repr(metric.amount)
    if metric.kind == "gauge":
        return str(round(metric.amount * swing))
    # The integral of a swinging rate, so that it never falls.
    grown = metric.amount * (at - EPOCH + 90_000 - 180 * math.cos(at / 600 + scale)) / scale
    return f"{grown:.6f}"
