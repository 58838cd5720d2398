"""What the probe costs a busy server: requests a second that redis answers with the probe and without, by turns.

Each request is two system calls of the server and two of the client, so hardly any real load is hurt more. Nothing
else should run on the machine: with another tracer the runs without the probe pay for that one.
"""

import csv
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from behaviour_rows import Row

sys.path.insert(0, str(Path(__file__).parents[2]))  # the harness that starts the parts is no installed package

from deploy.demo.children import Child, start_child, stop_child, wait_until_ready

ROUNDS, REQUESTS, CLIENTS = 8, 100_000, 50
SETTLE = 2.0
WITHOUT, PAIRS = "no probe", "calls and pairs"
FLAGS: dict[str, list[str] | None] = {
    WITHOUT: None,
    PAIRS: [],
    "calls only": ["--pairs.one-in=0"],
    "every pair": ["--pairs.one-in=1"],
}
MOST_RESIDENT, MOST_LOSS = 120.0, 5.0


def measure(_data: Path) -> list[Row]:
    """Return all figures of this part; it needs no recording."""
    speeds: dict[str, list[float]] = {name: [] for name in FLAGS}
    sizes, lost = [], 0.0
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as port:
        _speed(port)
        for _ in range(ROUNDS):
            for name, flags in FLAGS.items():
                with _probed(Path(folder), flags) as probe:
                    speeds[name].append(_speed(port))
                    if probe and name == PAIRS:
                        sizes.append(_resident(probe[0]))
                        lost += _lost(probe[1])
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    loss = {name: 100 * (1 - found / medians[WITHOUT]) for name, found in medians.items()}
    peers = {name: value for name, value in loss.items() if name not in (WITHOUT, PAIRS)}
    return [
        Row("probe with pairs: requests fewer", loss[PAIRS], MOST_LOSS, at_least=False, unit="%", peers=peers),
        Row("probe with pairs: resident", max(sizes), MOST_RESIDENT, at_least=False, unit="MiB"),
        Row("probe with pairs: lost events and full maps", lost, 0, at_least=False),
    ]


@contextmanager
def _server(folder: Path) -> Iterator[int]:
    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    child = start_child("redis", command, folder / "redis.log")
    try:
        _wait_for(port)
        yield port
    finally:
        stop_child(child)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"redis does not answer on port {port}")


@contextmanager
def _probed(folder: Path, flags: list[str] | None) -> Iterator[tuple[Child, str] | None]:
    """Run the probe with ``flags``, none without."""
    if flags is None:
        yield None
        return
    address, log = f"127.0.0.1:{_free_port()}", folder / "probe.log"
    command = [sys.executable, "-m", "exporter.probe", f"--web.listen-address={address}", *flags]
    child = start_child("probe", command, log)
    try:
        wait_until_ready(child, f"http://{address}/-/ready", log, 60)
        time.sleep(SETTLE)
        yield child, address
    finally:
        stop_child(child)


def _speed(port: int) -> float:
    """Return requests a second."""
    command = ["redis-benchmark", "-p", str(port), "-t", "get", "-n", str(REQUESTS), "-c", str(CLIENTS), "--csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return float(list(csv.reader(done.stdout.splitlines()))[-1][1])


def _resident(probe: Child) -> float:
    """Return the MiB of the probe and of its bpftrace."""
    children = Path(f"/proc/{probe.pid}/task/{probe.pid}/children").read_text().split()
    status = [Path(f"/proc/{pid}/status").read_text() for pid in (probe.pid, *children)]
    return sum(int(found) for text in status for found in re.findall(r"VmRSS:\s+(\d+)", text)) / 1024


def _lost(address: str) -> float:
    text = requests.get(f"http://{address}/metrics", timeout=10).text
    return float(re.findall(r"^cpp_probe_lost_events_total (\S+)$", text, re.MULTILINE)[0])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
