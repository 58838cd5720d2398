"""What the probe costs a busy server: requests a second that redis answers with the probe and without, by turns.

Each request is two system calls of the server and more of the client, so hardly any real load is hurt more. The server
runs in a container, with Docker's usual filter of system calls, and as a bare process. Nothing else should run on the
machine: with another tracer the runs without the probe pay for that one. On a busy machine the CPU that a request
takes, of server and client together, says more than how many were answered.
"""

import csv
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from behaviour_rows import Row
from redis_server import RUN, free_port, in_container, in_process

sys.path.insert(0, str(Path(__file__).parents[2]))  # the harness that starts the parts is no installed package

from deploy.demo.children import Child, start_child, stop_child, wait_for, wait_until_ready
from deploy.setup.engine import start_engine, stop_engine

TURNS, RUNS, REQUESTS, CLIENTS = 24, 2, 60_000, 50
"""Turns of each kind, loads in a turn, requests in a load, connections that make them."""
SETTLE = 1.0
MOST_RESIDENT, MOST_LOSS = 120.0, 5.0

Server = Callable[[Path, int], AbstractContextManager[int]]
"""Runs redis with its files in a folder, on a port; gives its process."""


@dataclass(frozen=True)
class Load:
    """What one load brought."""

    speed: float
    """Requests a second."""
    cpu: float
    """Microseconds a request, of server and client."""


@dataclass(frozen=True)
class Probes:
    """What the runs of the probe had in the end."""

    resident: list[float]
    """MiB."""
    lost: list[float]
    """Events."""


def measure(_data: Path) -> list[Row]:
    """Return all figures of this part; it needs no recording."""
    probes = Probes([], [])
    # At low priority whatever else the machine does would be measured too, and at small slices of time.
    os.setpriority(os.PRIO_PROCESS, 0, 0)
    start_engine(RUN)
    try:
        rows = [
            row
            for where, server in (("container", in_container), ("process", in_process))
            for row in _cost(f"redis in a {where}", server, probes)
        ]
    finally:
        stop_engine(RUN)
    return [
        *rows,
        Row("probe with pairs: resident", max(probes.resident), MOST_RESIDENT, at_least=False, unit="MiB"),
        Row("probe with pairs: lost events and full maps", sum(probes.lost), 0, at_least=False),
    ]


def _cost(what: str, server: Server, probes: Probes) -> list[Row]:
    turns: dict[str, list[Load]] = {name: [] for name in TRACERS}
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), port := free_port()) as process:
        _load(process, port)
        for _ in range(TURNS):
            for name, tracer in TRACERS.items():
                with tracer(Path(folder)) as probe:
                    time.sleep(SETTLE)
                    turns[name].append(_middle([_load(process, port) for _ in range(RUNS)]))
                    if probe:
                        probes.resident.append(_resident(probe[0]))
                        probes.lost.append(_lost(probe[1]))
    slower = _compared({name: [load.speed for load in found] for name, found in turns.items()}, -1)
    dearer = _compared({name: [load.cpu for load in found] for name, found in turns.items()}, 1)
    return [
        Row(f"{what}: requests fewer", slower.pop(OURS), MOST_LOSS, at_least=False, unit="%", peers=slower),
        Row(f"{what}: CPU a request more", dearer.pop(OURS), MOST_LOSS, at_least=False, unit="%", peers=dearer),
    ]


def _middle(loads: list[Load]) -> Load:
    return Load(statistics.median(load.speed for load in loads), statistics.median(load.cpu for load in loads))


def _compared(turns: dict[str, list[float]], sign: int) -> dict[str, float]:
    """Return how much more (``sign`` 1) or less (-1) each is than without a tracer in the same turn, in percent."""
    without = turns.pop(WITHOUT)
    return {
        name: sign * 100 * (statistics.median(one / bare for one, bare in zip(found, without, strict=True)) - 1)
        for name, found in turns.items()
    }


@contextmanager
def _ours(folder: Path) -> Iterator[tuple[Child, str]]:
    """Run the probe as shipped; yield it and its address."""
    address, log = f"127.0.0.1:{free_port()}", folder / "probe.log"
    child = start_child("probe", [sys.executable, "-m", "exporter.probe", f"--web.listen-address={address}"], log)
    try:
        wait_until_ready(child, f"http://{address}/-/ready", log, 60)
        yield child, address
    finally:
        stop_child(child)


@contextmanager
def _bpftrace(folder: Path) -> Iterator[None]:
    """Run the peer: it counts calls by cgroup and number, and nothing else."""
    log = folder / "bpftrace.log"
    child = start_child("bpftrace", ["bpftrace", "-e", _COUNTS], log)
    try:
        wait_for(lambda: "Attaching" in log.read_text(), 30, "bpftrace attaches", lambda: [log])
        yield
    finally:
        stop_child(child)


@contextmanager
def _none(_folder: Path) -> Iterator[None]:
    yield


_COUNTS = "tracepoint:raw_syscalls:sys_exit { @[cgroup, args->id] = count(); }"
WITHOUT, OURS = "none", "the probe"
TRACERS: dict[str, Callable[[Path], AbstractContextManager[tuple[Child, str] | None]]] = {
    WITHOUT: _none,
    OURS: _ours,
    "bpftrace, calls alone": _bpftrace,
}


def _load(server: int, port: int) -> Load:
    command = ["redis-benchmark", "-p", str(port), "-t", "get", "-n", str(REQUESTS), "-c", str(CLIENTS), "--csv"]
    before = _cpu_seconds(server)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    cpu = (_cpu_seconds(server) - before) / REQUESTS * 1e6
    return Load(float(list(csv.reader(done.stdout.splitlines()))[-1][1]), cpu)


def _cpu_seconds(server: int) -> float:
    """Return the CPU seconds of the server's first thread, which answers all requests, and of ended clients."""
    clients = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int(Path(f"/proc/{server}/schedstat").read_text().split()[0]) / 1e9 + clients.ru_utime + clients.ru_stime


def _resident(probe: Child) -> float:
    """Return the MiB of the probe and of what it runs."""
    children = Path(f"/proc/{probe.pid}/task/{probe.pid}/children").read_text().split()
    status = [Path(f"/proc/{pid}/status").read_text() for pid in (probe.pid, *children)]
    return sum(int(found) for text in status for found in re.findall(r"VmRSS:\s+(\d+)", text)) / 1024


def _lost(address: str) -> float:
    text = requests.get(f"http://{address}/metrics", timeout=10).text
    return float(re.findall(r"^cpp_probe_lost_events_total (\S+)$", text, re.MULTILINE)[0])
