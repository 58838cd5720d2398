"""A node of a thousand containers through a real exporter, read over HTTP as it reads its sources."""

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

CONTAINERS, MORE = 1000, 10
INTERVAL = 5.0
MOST_SERIES = 120
MOST_RESIDENT = 400
"""MiB; the bar for 500 containers is 200."""
COUNTERS = {
    "container_cpu_usage_seconds_total": 0.2,
    "container_cpu_cfs_periods_total": 10,
    "container_cpu_cfs_throttled_periods_total": 0.1,
    "container_cpu_cfs_throttled_seconds_total": 0.01,
    "container_fs_reads_bytes_total": 4096,
    "container_fs_writes_bytes_total": 65536,
    "container_network_receive_bytes_total": 20_000,
    "container_network_transmit_bytes_total": 50_000,
}
GAUGES = {
    "container_memory_working_set_bytes": 180 << 20,
    "container_file_descriptors": 48,
    "container_threads": 14,
    "container_processes": 3,
    "container_spec_cpu_quota": 100_000,
    "container_spec_cpu_period": 100_000,
    "container_spec_memory_limit_bytes": 512 << 20,
}
CALLS = [f"call_{number:02}" for number in range(60)]
"""More than have room."""

Run = Callable[..., Any]
Serve = Callable[..., contextlib.AbstractContextManager[str]]


class Node:
    """So many containers, each with a rate of its own, since the test began."""

    def __init__(self) -> None:
        self.began = time.time() - 3600
        self.containers = CONTAINERS

    def cadvisor(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        now = time.time()
        who = [f'id="/docker/{number:064x}",name="web-{number}"' for number in range(self.containers)]
        lines = ["# TYPE container_start_time_seconds gauge"]
        lines += [f"container_start_time_seconds{{{labels}}} {self.began}" for labels in who]
        for name, rate in COUNTERS.items():
            lines += self._family(name, "counter", who, rate * (now - self.began), now)
        for name, value in GAUGES.items():
            lines += self._family(name, "gauge", who, value, now)
        return 200, "\n".join(lines).encode() + b"\n"

    def probe(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        now = time.time()
        who = [f'id="/docker/{number:064x}"' for number in range(self.containers)]
        called = [f'{labels},syscall="{call}"' for labels in who for call in CALLS]
        lines = [*self._family("container_syscalls_total", "counter", called, 40 * (now - self.began), now)]
        lines += self._family("container_file_opens_total", "counter", who, 12 * (now - self.began), now)
        return 200, "\n".join(["# TYPE cpp_probe_up gauge", "cpp_probe_up 1", *lines]).encode() + b"\n"

    @staticmethod
    def _family(name: str, kind: str, who: list[str], value: float, now: float) -> list[str]:
        lines = [
            f"{name}{{{labels}}} {value * (1 + index % 7):.3f} {now * 1000:.0f}" for index, labels in enumerate(who)
        ]
        return [f"# TYPE {name} {kind}", *lines]


def value(text: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def peak(pid: int) -> float:
    """Return the most MiB that a process ever had."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


def test_a_thousand_containers_are_all_served_in_time_and_in_bounded_memory(run_exporter: Run, serve: Serve) -> None:
    node = Node()
    with serve(node.cadvisor) as cadvisor, serve(node.probe) as probe:
        sources = {"cadvisor": {"url": cadvisor}, "probe": {"url": probe}}
        pace = {"interval": f"{INTERVAL:g}s", "history": {"window": "20m"}, "forecast": {"arima": False}}
        exporter = run_exporter(sources, **pace)

        def page() -> str:
            time.sleep(INTERVAL)
            return str(exporter.get("/metrics").text)

        exporter.wait_for(lambda: exporter.get("/-/ready").ok, "the exporter is ready", 60)
        pages = [page() for _ in range(5)]
        _all_are_there(pages[-1])
        took = [value(text, "cpp_cycle_duration_seconds") for text in pages]
        assert median(took) < INTERVAL / 2
        assert all(value(pages[-1], f'cpp_up{{source="{name}"}}') == 1 for name in sources)

        node.containers += MORE
        text = [page() for _ in range(3)][-1]
        assert value(text, 'cpp_dropped_series_total{source="cadvisor"}') >= MORE
        assert value(text, "cpp_containers") == CONTAINERS
        _all_are_there(text)
        print(
            f"cycles of {median(took):.2f} s, {max(took):.2f} s at most, {peak(exporter.process.pid):.0f} MiB at most"
        )
        assert peak(exporter.process.pid) < MOST_RESIDENT
        assert exporter.stop() == 0


def _all_are_there(text: str) -> None:
    served = Counter(re.findall(r'container_id="(\w+)"', text))
    assert len(served) == value(text, "cpp_containers") == CONTAINERS
    assert max(served.values()) <= MOST_SERIES
    other = 'cpp_syscalls_per_second{[^}]*syscall="other"'
    for series in ("cpp_cpu_usage_cores", "cpp_file_opens_per_second", other):
        assert len(re.findall(f"^{series}", text, re.MULTILINE)) == CONTAINERS, series
