"""The probe's text exposition."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.probe.pairs import SHIFT
from exporter.probe.probe import ContainerState, Health
from exporter.probe.protocols import PORTS, protocol_of
from exporter.probe.syscalls import SyscallNames
from exporter.probe.tally import Counts

_SECTOR_BYTES = 512
_RESOURCES = ("cpu", "memory", "io")


@dataclass(frozen=True)
class _Family:
    name: str
    help: str
    map: str
    factor: int = 1


_PLAIN = (
    _Family("container_thread_creations_total", "Tasks created; a process counts as its first thread.", "created"),
    _Family("container_thread_exits_total", "Tasks ended; a process counts as its first thread.", "ended"),
    _Family("container_file_opens_total", "Files opened (open, openat, openat2 that succeeded).", "opened"),
    _Family("container_block_read_bytes_total", "Bytes read from disks.", "read", _SECTOR_BYTES),
    _Family("container_block_write_bytes_total", "Bytes of data written to disks.", "written", _SECTOR_BYTES),
)
_SHARES = {"some": ("waiting", "some"), "full": ("stalled", "all")}
_SYSCALLS = "System calls that returned."
_PAIRS = "Pairs of system calls that a thread made one after the other."
_CONNECTIONS = "TCP connections begun, by the protocol of the destination port; DNS over UDP where it connects."
_PROTOCOLS = sorted({*PORTS.values(), "other"})


class Renderer:
    """Writes snapshots as Prometheus text (0.0.4). Samples of containers carry the time of their reading."""

    def __init__(self, names: SyscallNames) -> None:
        self._names = names

    def render(self, states: list[ContainerState], health: Health) -> str:
        """Return the text of ``/metrics``."""
        lines = [*_health(health)]
        if health.printed_at is not None:
            stamp = _milliseconds(health.printed_at)
            lines += self._syscalls(states, stamp)
            if health.paired_at is not None:
                lines += self._pairs(states, _milliseconds(health.paired_at))
            lines += _connections(states, stamp)
            for family in _PLAIN:
                lines += _plain(family, states, stamp)
        lines += _pressure(states)
        return "\n".join(lines) + "\n"

    def _syscalls(self, states: Iterable[ContainerState], stamp: int) -> Iterator[str]:
        yield from _head("container_syscalls_total", "counter", _SYSCALLS)
        for state in states:
            for number, count in _labelled(state.counts, "calls"):
                labels = f'id="{state.path}",syscall="{self._names[number]}"'
                yield f"container_syscalls_total{{{labels}}} {count} {stamp}"

    def _pairs(self, states: Iterable[ContainerState], stamp: int) -> Iterator[str]:
        yield from _head("container_syscall_pairs_total", "counter", _PAIRS)
        for state in states:
            for pair, count in state.pairs.items():
                first, second = divmod(pair, SHIFT)
                labels = f'id="{state.path}",from="{self._names[first]}",to="{self._names[second]}"'
                yield f"container_syscall_pairs_total{{{labels}}} {count} {stamp}"


def _connections(states: Iterable[ContainerState], stamp: int) -> Iterator[str]:
    yield from _head("container_connections_total", "counter", _CONNECTIONS)
    for state in states:
        totals: dict[str, int] = defaultdict(int)
        for port, count in _labelled(state.counts, "connected"):
            totals[protocol_of(port)] += count
        for protocol in _PROTOCOLS:
            labels = f'id="{state.path}",protocol="{protocol}"'
            yield f"container_connections_total{{{labels}}} {totals[protocol]} {stamp}"


def _plain(family: _Family, states: Iterable[ContainerState], stamp: int) -> Iterator[str]:
    yield from _head(family.name, "counter", family.help)
    for state in states:
        yield f'{family.name}{{id="{state.path}"}} {state.counts.get((family.map, 0), 0) * family.factor} {stamp}'


def _pressure(states: list[ContainerState]) -> Iterator[str]:
    for resource in _RESOURCES:
        for share, (word, who) in _SHARES.items():
            name = f"container_pressure_{resource}_{word}_seconds_total"
            yield from _head(name, "counter", f"Time in which {who} tasks were held up for want of {resource}.")
            for state in states:
                if (resource, share) in state.pressure:
                    seconds = state.pressure[resource, share]
                    yield f'{name}{{id="{state.path}"}} {seconds:.6f} {_milliseconds(state.read_at)}'


def _health(health: Health) -> Iterator[str]:
    yield from _head("cpp_probe_up", "gauge", "1 while the kernel's counts arrive.")
    yield f"cpp_probe_up {int(health.up)}"
    lost = "Calls, pairs and other events that were not counted since a map of the kernel was full."
    yield from _head("cpp_probe_lost_events_total", "counter", lost)
    yield f"cpp_probe_lost_events_total {health.lost_events}"
    yield from _head("cpp_probe_restarts_total", "counter", "Times that cpp-probe-kernel ended and was started again.")
    yield f"cpp_probe_restarts_total {health.restarts}"
    if health.printed_at is not None:
        when = "When the kernel's counts were last read."
        yield from _head("cpp_probe_last_print_timestamp_seconds", "gauge", when)
        yield f"cpp_probe_last_print_timestamp_seconds {health.printed_at:.3f}"


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labelled(counts: Counts, name: str) -> Iterator[tuple[int, int]]:
    return ((label, count) for (owner, label), count in counts.items() if owner == name)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
