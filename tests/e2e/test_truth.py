"""What the exporter publishes of real containers against the kernel's own accounting, and the programs' own."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from deploy.demo.containers import docker, inspect, main_pid

POINTS = 9
MIB = 1 << 20
CALLS = 500.0
_WARM_UP = 8.0
_LAG = 3.0
"""A published value is at most as old as a read of cAdvisor, even where the machine is busy."""
_AGE = 1.0
"""How old a sample usually is when it is published."""
LOADS = {
    "busy": "cpu --duty 0.4 --period 100ms",
    "throttled": "spin --threads 1",
    "growing": "leak --rate 1MiB/s --start 64MiB --max 1GiB",
    "caching": "write --file /data/f --bytes 2GiB --rate 2MiB/s --block 256KiB --fsync",
    "direct": "write --file /data/f --bytes 2GiB --rate 2MiB/s --block 256KiB --direct",
    "server": "net-server --listen :9000",
    "calls": f"syscalls --call getppid --rate {CALLS:.0f}",
    "threads": "threads --n 20",
    "files": "files --n 50",
}
OPTIONS = {"throttled": ("--cpus", "0.2")}
NETWORK = ("server", "client")

Stack = Any
Points = list[tuple[float, float]]


@dataclass
class Account:
    """What the kernel says of one container, now and over time."""

    container: str
    pid: int
    at: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    received: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._files = {
            name: next(Path("/sys/fs/cgroup").glob(f"**/*{self.container}*/{name}"), None)
            for name in ("cpuacct.usage", "cpu.stat", "memory.usage_in_bytes", "memory.current", "memory.stat")
        }

    def look(self) -> None:
        self.cpu_seconds.append(self._cpu())
        self.memory.append(self._memory())
        received, sent = self._network()
        self.received.append(received)
        self.sent.append(sent)
        self.at.append(time.time())

    def rate(self, name: str, begin: float, end: float) -> float:
        """Return the mean growth per second of an account between two times."""
        grown = np.interp([begin, end], self.at, getattr(self, name))
        return float((grown[1] - grown[0]) / (end - begin))

    def between(self, name: str, begin: float, end: float) -> np.ndarray:
        at = np.array(self.at)
        return np.array(getattr(self, name))[(at >= begin) & (at <= end)]

    def tasks(self) -> tuple[int, int, int]:
        """Return processes, threads and open descriptors, counted under /proc."""
        pids = self._file("memory.stat").with_name("cgroup.procs").read_text().split()
        threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)
        return len(pids), threads, sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)

    def _file(self, *names: str) -> Path:
        return next(path for name in names if (path := self._files[name]) is not None)

    def _cpu(self) -> float:
        file = self._file("cpuacct.usage", "cpu.stat")
        if file.name == "cpuacct.usage":
            return int(file.read_text()) / 1e9
        return _statistics(file)["usage_usec"] / 1e6

    def _memory(self) -> float:
        statistics = _statistics(self._file("memory.stat"))
        used = int(self._file("memory.usage_in_bytes", "memory.current").read_text())
        return used - statistics.get("total_inactive_file", statistics.get("inactive_file", 0))

    def _network(self) -> tuple[float, float]:
        lines = Path(f"/proc/{self.pid}/net/dev").read_text().splitlines()[2:]
        rows = [line.split(":")[1].split() for line in lines if not line.strip().startswith("lo:")]
        return sum(int(row[0]) for row in rows), sum(int(row[8]) for row in rows)


def _statistics(file: Path) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in file.read_text().splitlines())}


@dataclass
class Truth:
    """The kernel's accounts, and the profiles published meanwhile, by load."""

    accounts: dict[str, Account]
    profiles: dict[str, dict[str, Any]]
    told: dict[str, dict[str, float]]
    begin: float

    def published(self, load: str, series: str) -> Points:
        return _since(self.begin, self.profiles[load]["runtime_metrics"][series])

    def call_rates(self, load: str, call: str) -> Points:
        return _since(self.begin, self.profiles[load]["runtime_metrics"]["api_call_frequency"][call])

    def rate(self, load: str, account: str, points: Points) -> float:
        """Return the kernel's rate over the time that the rates in ``points`` are about."""
        return self.accounts[load].rate(account, points[0][0] - _AGE, points[-1][0] - _AGE)


def _since(begin: float, points: list[dict[str, float]]) -> Points:
    return [(point["timestamp"], point["value"]) for point in points if point["timestamp"] >= begin + _LAG]


def _mean(points: Points) -> float:
    """Return the mean over time of rates, each of which is about the time since the point before."""
    at, values = np.array(points).T
    return float(np.average(values[1:], weights=np.diff(at)))


@contextmanager
def _watching(accounts: dict[str, Account]) -> Iterator[None]:
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            for account in accounts.values():
                account.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def truth(_session_stack: Stack) -> Iterator[Truth]:
    stack = _session_stack

    def start(load: str, work: str) -> str:
        options = ("--volume", "/data", *OPTIONS.get(load, ()))
        if load not in NETWORK:
            options += ("--network", "none")
        return str(stack.run_container(f"truth-{load}", *work.split(), options=options))

    with ThreadPoolExecutor(3) as starters:
        ids = dict(zip(LOADS, starters.map(start, LOADS, LOADS.values()), strict=True))
    address = inspect(ids["server"])["NetworkSettings"]["IPAddress"]
    ids["client"] = start("client", f"net-client --to {address}:9000 --rate 1MiB/s")
    docker("exec", "--detach", ids["threads"], "/workload", "sleep")
    accounts = {load: Account(container, main_pid(container)) for load, container in ids.items()}
    stack.wait_for(lambda: all(_has_points(stack, one, 3) for one in ids.values()), 60, "all loads are profiled")
    time.sleep(_WARM_UP)
    begin = time.time()
    with _watching(accounts):

        def watched() -> bool:
            points = _profile(stack, ids["busy"])["runtime_metrics"]["cpu_usage"]
            return len(_since(begin, points)) >= POINTS

        stack.wait_for(watched, 90, f"{POINTS} points of each load while the kernel is watched")
        profiles = {load: _profile(stack, container) for load, container in ids.items()}
    yield Truth(accounts, profiles, {load: _tell(ids[load]) for load in ("caching", "direct", "calls")}, begin)
    for load in ids:
        stack.remove_container(f"truth-{load}")


def _profile(stack: Stack, container: str) -> dict[str, Any]:
    answer = requests.get(f"{stack.exporter_url}/profiles/{container}", timeout=10)
    return answer.json() if answer.ok else {"runtime_metrics": {"cpu_usage": []}}


def _has_points(stack: Stack, container: str, count: int) -> bool:
    return len(_profile(stack, container)["runtime_metrics"]["cpu_usage"]) >= count


def _tell(container: str) -> dict[str, float]:
    """Stop a program and return what it says to have done."""
    docker("stop", container)
    told: dict[str, float] = json.loads(docker("logs", container).splitlines()[-1])
    return told


@pytest.mark.parametrize("load", ["busy", "throttled"])
def test_cpu_is_within_5_percent_of_the_cgroups_account(truth: Truth, load: str) -> None:
    points = truth.published(load, "cpu_usage")
    expected = truth.rate(load, "cpu_seconds", points)
    assert expected > 0.01
    assert _mean(points) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("load", ["busy", "growing", "caching", "threads"])
def test_memory_is_within_2_percent_of_the_cgroups_account_at_the_samples_time(truth: Truth, load: str) -> None:
    account = truth.accounts[load]
    for at, value in truth.published(load, "memory_usage"):
        known = account.between("memory", at - _LAG, at)
        assert known.min() * 0.98 <= value <= known.max() * 1.02


@pytest.mark.parametrize("load", ["busy", "growing", "threads"])
def test_memory_that_does_not_jump_is_within_2_percent_of_a_look_at_the_cgroup(truth: Truth, load: str) -> None:
    account = truth.accounts[load]
    for at, value in truth.published(load, "memory_usage"):
        assert np.abs(account.between("memory", at - _LAG, at) / value - 1).min() <= 0.02


def test_growing_memory_is_published_as_it_grows(truth: Truth) -> None:
    points = truth.published("growing", "memory_usage")
    # A reading is up to a second older than its time says: a line through all, not through the first and the last.
    times, values = np.array(points).T
    grown = np.polyfit(times - times[0], values, 1)[0]
    assert grown == pytest.approx(MIB, rel=0.1)


@pytest.mark.parametrize("load", ["server", "client"])
def test_network_is_within_5_percent_of_the_interfaces_account(truth: Truth, load: str) -> None:
    points = truth.published(load, "network_io")
    expected = truth.rate(load, "received", points) + truth.rate(load, "sent", points)
    assert expected > 0.5 * MIB
    assert _mean(points) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("load", ["direct", "caching"])
def test_disk_is_within_5_percent_of_what_the_program_wrote(truth: Truth, load: str) -> None:
    told = truth.told[load]
    expected = told["bytes"] / told["seconds"]
    assert expected > MIB
    assert _mean(truth.published(load, "disk_io")) == pytest.approx(expected, rel=0.05)


def test_the_rate_of_a_call_is_within_5_percent_of_what_the_program_made(truth: Truth) -> None:
    told = truth.told["calls"]
    expected = told["count"] / told["seconds"]
    assert expected > 0.8 * CALLS
    assert _mean(truth.call_rates("calls", "getppid")) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("load", "least"), [("threads", (2, 21, 0)), ("files", (1, 1, 50)), ("busy", (1, 1, 1))])
def test_processes_threads_and_descriptors_equal_those_under_proc(
    stack: Stack, load: str, least: tuple[int, int, int]
) -> None:
    container = stack.run_container(f"tasks-{load}", *LOADS[load].split(), options=("--network", "none"))
    if load == "threads":
        docker("exec", "--detach", container, "/workload", "sleep")
    account = Account(container, main_pid(container))

    def agree() -> bool:
        before, found = account.tasks(), _profile(stack, container)["runtime_metrics"]
        newest = [found.get(name, []) for name in ("process_count", "thread_count", "file_descriptors")]
        published = tuple(int(series[-1]["value"]) for series in newest if series)
        return published == before == account.tasks() and all(np.greater_equal(published, least))

    stack.wait_for(agree, 40, f"the counts of {load} equal those under /proc")


def test_a_container_without_traffic_or_disk_has_none(truth: Truth) -> None:
    assert _mean(truth.published("busy", "disk_io")) < 0.01 * MIB
    assert truth.profiles["busy"]["runtime_metrics"]["network_io"] == [] or (
        _mean(truth.published("busy", "network_io")) == 0
    )
