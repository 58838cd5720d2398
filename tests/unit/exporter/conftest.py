import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from exporter.config import Config
from exporter.cycle import Cycle, Readings
from exporter.sources.exposition import Samples, parse
from exporter.sources.families import CADVISOR_WANTED, PROBE_WANTED
from exporter.state import SourceState, State

START = 1_800_000_000.0
_LABELS = {
    "container_syscalls_total": "syscall",
    "container_connections_total": "protocol",
    "container_cpu_usage_seconds_total": "cpu",
}

Values = Mapping[str, float | Mapping[str, float]]


def _cid(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _text(at: float, containers: Mapping[str, Values], machine: Mapping[str, float]) -> bytes:
    lines: dict[str, list[str]] = {}
    for name, values in containers.items():
        who = f'id="/docker/{_cid(name)}"'
        if machine.get("machine_cpu_cores"):
            who += f',image="shop:1",name="{name.partition("#")[0]}"'
        for metric, value in values.items():
            series = value if isinstance(value, Mapping) else {"": value}
            for label, number in series.items():
                more = f',{_LABELS.get(metric, "device")}="{label}"' if label else ""
                lines.setdefault(metric, []).append(f"{metric}{{{who}{more}}} {number} {round(at * 1000)}")
    for metric, number in machine.items():
        lines.setdefault(metric, []).append(f"{metric} {number}")
    return "".join(f"# TYPE {name} gauge\n" + "\n".join(rows) + "\n" for name, rows in lines.items()).encode()


@pytest.fixture
def start() -> float:
    return START


@pytest.fixture
def container_id() -> Callable[[str], str]:
    return _cid


@pytest.fixture
def cadvisor() -> Callable[..., Samples]:
    """Return (at, {"web": {family: value}}) → samples; "web#2" is another container of the name web."""

    def samples(at: float, containers: Mapping[str, Values]) -> Samples:
        text = _text(at, containers, {"machine_cpu_cores": 4, "machine_memory_bytes": 2**33})
        return parse(text, CADVISOR_WANTED)

    return samples


@pytest.fixture
def probe() -> Callable[..., Samples]:
    def samples(at: float, containers: Mapping[str, Values]) -> Samples:
        return parse(_text(at, containers, {"cpp_probe_lost_events_total": 0}), PROBE_WANTED)

    return samples


def _everything(ticks: int) -> dict[str, Any]:
    cumulative = {
        "container_cpu_usage_seconds_total": {"cpu00": 3.0 * ticks, "cpu01": 4.5 * ticks},
        "container_cpu_cfs_periods_total": 150.0 * ticks,
        "container_cpu_cfs_throttled_periods_total": 15.0 * ticks,
        "container_cpu_cfs_throttled_seconds_total": 0.75 * ticks,
        "container_fs_reads_bytes_total": 150.0 * ticks,
        "container_fs_writes_bytes_total": 300.0 * ticks,
        "container_network_receive_bytes_total": 1500.0 * ticks,
        "container_network_transmit_bytes_total": 3000.0 * ticks,
    }
    return cumulative | {
        "container_memory_working_set_bytes": 2.0**27,
        "container_file_descriptors": 20,
        "container_threads": 7,
        "container_processes": 2,
        "container_start_time_seconds": START - 3600,
        "container_spec_cpu_quota": 200_000,
        "container_spec_cpu_period": 100_000,
        "container_spec_memory_limit_bytes": 2.0**28,
        "container_spec_memory_reservation_limit_bytes": 2.0**26,
        "container_oom_events_total": 0,
    }


def _kernel(ticks: int, calls: int) -> dict[str, Any]:
    protocols = [
        "postgresql",
        "mysql",
        "redis",
        "mongodb",
        "kafka",
        "amqp",
        "memcached",
        "http",
        "https",
        "dns",
        "other",
    ]
    return {
        "container_syscalls_total": {f"call{n:02}": 15.0 * ticks * (n + 1) for n in range(calls)},
        "container_connections_total": {name: 15.0 * ticks * (n + 1) for n, name in enumerate(protocols)},
        "container_thread_creations_total": 15.0 * ticks,
        "container_thread_exits_total": 15.0 * ticks,
        "container_file_opens_total": 30.0 * ticks,
    }


@pytest.fixture
def full_state(cadvisor: Callable[..., Samples], probe: Callable[..., Samples]) -> Callable[..., tuple[Cycle, State]]:
    """Return (names, calls) → a cycle and its state with every number known except forecasts."""

    def make(names: tuple[str, ...] = ("web", "db"), calls: int = 40, **config: Any) -> tuple[Cycle, State]:
        cycle = Cycle(Config(node="n1", **config))
        for ticks in range(4):
            now = START + 15 * ticks
            readings = Readings(
                cadvisor(now, dict.fromkeys(names, _everything(ticks))),
                probe(now, {name: _kernel(ticks, calls) for name in names}),
            )
            sources = (
                SourceState("cadvisor", up=True, newest=now, duration=0.01, errors=0),
                SourceState("probe", up=True, newest=now, duration=0.02, errors=2),
            )
            state = cycle.run(readings, sources, now)
        return cycle, state

    return make


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)
