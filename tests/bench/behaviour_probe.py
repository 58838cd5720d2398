"""What the probe costs a busy server: requests a second that redis answers with the probe and without, by turns.

Each request is two system calls of the server and more of the client, so hardly any real load is hurt more. The server
runs in a container, with Docker's usual filter of system calls, and as a bare process. Nothing else should run on the
machine: with another tracer the runs without the probe pay for that one. On a busy machine the CPU that a request
takes, of server and client together, says more than how many were answered.
"""

import csv
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

from deploy.demo.children import Child, start_child, stop_child, wait_until_ready
from deploy.setup.engine import start_engine, stop_engine

ROUNDS, RUNS, REQUESTS, CLIENTS = 6, 3, 60_000, 50
"""Turns of each kind, loads in a turn, requests in a load, connections that make them."""
SETTLE = 2.0
WITHOUT, PAIRS = "no probe", "calls and pairs"
FLAGS: dict[str, list[str] | None] = {
    WITHOUT: None,
    PAIRS: [],
    "calls only": ["--pairs.one-in=0"],
    "every pair": ["--pairs.one-in=1"],
}
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
    """What the runs of the probe with its default flags had in the end."""

    resident: list[float]
    """MiB."""
    lost: list[float]
    """Events."""


def measure(_data: Path) -> list[Row]:
    """Return all figures of this part; it needs no recording."""
    probes = Probes([], [])
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
    loads: dict[str, list[Load]] = {name: [] for name in FLAGS}
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), port := free_port()) as process:
        _load(process, port)
        for _ in range(ROUNDS):
            for name, flags in FLAGS.items():
                with _probed(Path(folder), flags) as probe:
                    loads[name] += [_load(process, port) for _ in range(RUNS)]
                    if probe and name == PAIRS:
                        probes.resident.append(_resident(probe[0]))
                        probes.lost.append(_lost(probe[1]))
    slower = _compared({name: statistics.median(load.speed for load in found) for name, found in loads.items()}, -1)
    dearer = _compared({name: statistics.median(load.cpu for load in found) for name, found in loads.items()}, 1)
    return [
        Row(f"{what}: requests fewer", slower.pop(PAIRS), MOST_LOSS, at_least=False, unit="%", peers=slower),
        Row(f"{what}: CPU a request more", dearer.pop(PAIRS), MOST_LOSS, at_least=False, unit="%", peers=dearer),
    ]


def _compared(medians: dict[str, float], sign: int) -> dict[str, float]:
    """Return how much more (``sign`` 1) or less (-1) each is than without a probe, in percent."""
    without = medians.pop(WITHOUT)
    return {name: sign * 100 * (found / without - 1) for name, found in medians.items()}


@contextmanager
def _probed(folder: Path, flags: list[str] | None) -> Iterator[tuple[Child, str] | None]:
    """Run the probe with ``flags``, none without."""
    if flags is None:
        yield None
        return
    address, log = f"127.0.0.1:{free_port()}", folder / "probe.log"
    command = [sys.executable, "-m", "exporter.probe", f"--web.listen-address={address}", *flags]
    child = start_child("probe", command, log)
    try:
        wait_until_ready(child, f"http://{address}/-/ready", log, 60)
        time.sleep(SETTLE)
        yield child, address
    finally:
        stop_child(child)


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
