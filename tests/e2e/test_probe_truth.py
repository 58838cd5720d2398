"""What the probe says of real containers against what the programs in them say they did."""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from deploy.demo.containers import Containers, docker
from deploy.setup.builds import VENV, WORKLOAD, build_programs
from exporter.probe import kernel
from exporter.probe.cgroups import Hierarchy, find_hierarchy
from exporter.probe.stream import Event, Lost, Print, parse

SECONDS = 8
MIB = 1 << 20
LOADS = {
    "calls": f"syscalls --call getppid --rate 1000 --for {SECONDS}s",
    "few-calls": f"syscalls --call getuid --rate 100 --for {SECONDS}s",
    "opens": f"opens --rate 100 --for {SECONDS}s",
    "threads": f"spawn --rate 100 --for {SECONDS}s",
    "processes": f"spawn --processes --rate 5 --for {SECONDS}s",
    "postgres": f"connects --to 127.0.0.1:5432 --rate 20 --for {SECONDS}s",
    "odd-port": f"connects --to 127.0.0.1:59999 --rate 20 --for {SECONDS}s",
    "direct": "write --file /data/f --direct --bytes 64MiB --rate 8MiB/s",
    "small-fsync": "write --file /data/f --fsync --block 64KiB --bytes 8MiB --rate 2MiB/s",
    "buffered": "write --file /data/f --bytes 32MiB --rate 8MiB/s",
    "read-direct": "read --file /data/f --direct --bytes 64MiB --rate 8MiB/s",
    "read-cached": "read --file /data/f --bytes 32MiB --rate 8MiB/s",
    "idle": "sleep",
}
IDLE = "idle"
MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
FILLER = """
import ctypes, os, sys
mount, name = sys.argv[1:]
call, calls = ctypes.CDLL(None).syscall, (*range(336, 424), *range(480, 510))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
with open("/proc/self/cgroup") as told:
    home = mount + next(line[3:].strip() for line in told if line.startswith("0::"))
def enter(folder):
    with open(folder + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
for number in range(612):
    folder = f"{mount}/{name}-{number}"
    os.mkdir(folder)
    enter(folder)
    for first in calls:
        call(first)
        for second in calls if number < 12 else ():
            call(second)
            call(first)
    enter(home)
    print(os.stat(folder).st_ino)
    os.rmdir(folder)
"""
RACE = """
import ctypes, mmap, os, sys
call, turns = ctypes.CDLL(None).syscall, mmap.mmap(-1, 2)
me, other = (0, 1) if os.fork() else (1, 0)
os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[me]})
for folder in sys.argv[1:]:
    with open(folder + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
    turns[me] += 1
    while turns[other] < turns[me]:
        pass
    for number in (*range(345, 424), *range(480, 510)):
        call(number)
if me == 0:
    os.wait()
"""
SAMPLE = re.compile(r'(\w+)\{id="[^"]*?([0-9a-f]{64})(?:\.scope)?"(?:,\w+="(\w+)")?\} (\S+) (\d+)')
PAIR = re.compile(
    r'container_syscall_pairs_total\{id="[^"]*?([0-9a-f]{64})(?:\.scope)?",from="(\w+)",to="(\w+)"\} (\d+)'
)

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Sample:
    value: float
    at: float


@dataclass
class RunningProbe:
    process: subprocess.Popen[bytes]
    url: str

    def text(self) -> str:
        return requests.get(f"{self.url}/metrics", timeout=5).text

    def samples(self) -> dict[Key, Sample]:
        return {
            (name, container, label): Sample(float(value), int(stamp) / 1000)
            for name, container, label, value, stamp in SAMPLE.findall(self.text())
        }

    def kernel(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])


@dataclass
class Loads:
    ids: dict[str, str]
    told: dict[str, dict[str, float]]
    history: list[dict[Key, Sample]]

    @property
    def end(self) -> dict[Key, Sample]:
        return self.history[-1]

    def total(self, load: str, name: str, label: str = "") -> float:
        return self.end[name, self.ids[load], label].value

    def rate(self, load: str, name: str, label: str = "") -> float:
        """Per second, in the middle of the work: without the container's start and end."""
        key, total = (name, self.ids[load], label), self.total(load, name, label)
        seen = [scrape[key] for scrape in self.history if key in scrape]
        middle = [sample for sample in seen if 0.15 * total <= sample.value <= 0.9 * total]
        first, last = middle[0], middle[-1]
        assert last.at - first.at > 2.5, "too few samples while the program worked"
        return (last.value - first.value) / (last.at - first.at)


def cgroup_of(container: str) -> Path:
    """Return the container's directory, found without the probe's code."""
    return next(Path("/sys/fs/cgroup").glob(f"**/*{container}*/cgroup.threads")).parent


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain: {what}")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProbe]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = tmp_path_factory.mktemp("probe") / "log"
    command = [VENV / "bin/cpp-probe", f"--web.listen-address={address}"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        running = RunningProbe(process, f"http://{address}")
        try:
            wait_until(lambda: is_ready(running), 30, f"the probe counts; its log: {log.read_text()}")
            yield running
        finally:
            process.terminate()


def is_ready(probe: RunningProbe) -> bool:
    try:
        return requests.get(f"{probe.url}/-/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    build_programs()
    made = Containers(f"probe-truth-{os.getpid()}")
    made.import_image()
    try:
        yield made
    finally:
        made.remove_all()


@pytest.fixture(scope="module")
def loads(probe: RunningProbe, containers: Containers) -> Loads:
    def start(load: str) -> str:
        return containers.start(load, LOADS[load].split(), ["--volume", "/data", "--network", "none"])

    with watching(probe) as history:
        with ThreadPoolExecutor(4) as starters:
            ids = dict(zip(LOADS, starters.map(start, LOADS), strict=True))
        working = [load for load in LOADS if load != IDLE]
        wait_until(lambda: all(docker("logs", ids[load]) for load in working), 30, "the loads are done")
        subprocess.run(["sync"], check=True)
        time.sleep(2)
    told = {load: json.loads(docker("logs", ids[load])) for load in working}
    return Loads(ids, told, [*history, probe.samples()])


@contextmanager
def watching(probe: RunningProbe) -> Iterator[list[dict[Key, Sample]]]:
    history: list[dict[Key, Sample]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            history.append(probe.samples())

    with ThreadPoolExecutor(1) as watcher:
        watched = watcher.submit(watch)
        try:
            yield history
        finally:
            done.set()
        watched.result()


@pytest.mark.parametrize(("load", "call", "rate"), [("calls", "getppid", 1000), ("few-calls", "getuid", 100)])
def test_system_calls_are_those_of_the_program(loads: Loads, load: str, call: str, rate: float) -> None:
    done = loads.told[load]["count"]
    assert done > 0.9 * SECONDS * rate
    assert loads.total(load, "container_syscalls_total", call) == pytest.approx(done, rel=0.01)
    assert loads.rate(load, "container_syscalls_total", call) == pytest.approx(rate, rel=0.05)


def test_pairs_are_those_of_the_program(probe: RunningProbe, loads: Loads) -> None:
    time.sleep(6)  # pairs are read more rarely than calls
    pairs = [
        (first, then, int(count)) for c, first, then, count in PAIR.findall(probe.text()) if c == loads.ids["calls"]
    ]
    done = loads.told["calls"]["count"]
    assert sum(count for _, then, count in pairs if then == "getppid") == pytest.approx(done, rel=0.01)
    assert sum(count for first, _, count in pairs if first == "getppid") == pytest.approx(done, rel=0.01)
    assert "\ncpp_probe_lost_events_total 0\n" in probe.text()


def test_files_opened_are_those_of_the_program(loads: Loads) -> None:
    done = loads.told["opens"]["count"]
    # Starting the container opens some dozens of files as well.
    assert done <= loads.total("opens", "container_file_opens_total") < done + 120
    assert loads.rate("opens", "container_file_opens_total") == pytest.approx(100, rel=0.05)


def test_threads_created_and_ended_are_those_of_the_program(loads: Loads) -> None:
    done = loads.told["threads"]["count"]
    assert loads.total("threads", "container_thread_creations_total") == pytest.approx(done, rel=0.05)
    assert loads.rate("threads", "container_thread_creations_total") == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("load", ["threads", "processes", "idle"])
def test_creations_less_exits_are_the_threads_that_live(loads: Loads, load: str) -> None:
    pids = (cgroup_of(loads.ids[load]) / "cgroup.threads").read_text().split()
    created, ended = (loads.total(load, f"container_thread_{what}_total") for what in ("creations", "exits"))
    # The container's first thread was created outside it.
    assert created - ended + 1 == len(pids)


def test_processes_started_are_those_of_the_program(loads: Loads) -> None:
    done = loads.told["processes"]["count"]
    assert loads.total("processes", "container_syscalls_total", "execve") == pytest.approx(done, abs=2)


@pytest.mark.parametrize(("load", "protocol"), [("postgres", "postgresql"), ("odd-port", "other")])
def test_connections_are_counted_by_what_their_port_speaks(loads: Loads, load: str, protocol: str) -> None:
    done = loads.told[load]["count"]
    name = "container_connections_total"
    assert loads.total(load, name, protocol) == pytest.approx(done, rel=0.01)
    assert sum(s.value for (n, c, _), s in loads.end.items() if (n, c) == (name, loads.ids[load])) == done


@pytest.mark.parametrize(("load", "mebibytes"), [("direct", 64), ("small-fsync", 8), ("buffered", 32)])
def test_bytes_written_are_those_of_the_program(loads: Loads, load: str, mebibytes: int) -> None:
    assert loads.told[load]["bytes"] == mebibytes * MIB
    assert loads.total(load, "container_block_write_bytes_total") == pytest.approx(mebibytes * MIB, rel=0.05)


def test_the_rate_of_direct_writes_is_that_of_the_program(loads: Loads) -> None:
    assert loads.rate("direct", "container_block_write_bytes_total") == pytest.approx(8 * MIB, rel=0.1)


def test_bytes_read_past_the_cache_are_counted_and_those_from_it_are_not(loads: Loads) -> None:
    # The program itself may have to be read from the disk as well, all of its 6 MB.
    binary = WORKLOAD.stat().st_size + MIB
    assert 64 * MIB <= loads.total("read-direct", "container_block_read_bytes_total") <= 64 * MIB + binary
    assert loads.total("read-cached", "container_block_read_bytes_total") <= binary
    assert loads.rate("read-direct", "container_block_read_bytes_total") == pytest.approx(8 * MIB, rel=0.1)


@pytest.mark.parametrize("name", ["block_write_bytes", "block_read_bytes", "file_opens", "thread_creations"])
def test_a_container_at_rest_has_nothing_of_its_neighbours(loads: Loads, name: str) -> None:
    seen = [scrape[f"container_{name}_total", loads.ids[IDLE], ""] for scrape in loads.history[-5:]]
    assert len({sample.value for sample in seen}) == 1


def test_pressure_is_that_of_the_kernels_files(probe: RunningProbe, loads: Loads) -> None:
    file = cgroup_of(loads.ids[IDLE]) / "cpu.pressure"
    before, served, after = (
        cpu_waiting(file),
        probe.samples()["container_pressure_cpu_waiting_seconds_total", loads.ids[IDLE], ""],
        cpu_waiting(file),
    )
    assert before <= served.value <= after
    assert abs(served.at - time.time()) < 5


def cpu_waiting(file: Path) -> float:
    return int(file.read_text().splitlines()[0].rpartition("=")[2]) / 1e6


def test_promtool_finds_nothing_to_say(probe: RunningProbe, loads: Loads) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=probe.text(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_container_that_went_away_leaves_no_series(probe: RunningProbe, loads: Loads, containers: Containers) -> None:
    assert loads.ids["opens"] in probe.text()
    containers.remove("opens")
    assert loads.ids["opens"] not in probe.text()


def test_counts_go_on_when_the_program_is_killed(probe: RunningProbe, loads: Loads) -> None:
    ours = set(loads.ids.values())
    before = {key: sample for key, sample in probe.samples().items() if key[1] in ours}
    assert before
    victim = probe.kernel()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: "\ncpp_probe_up 0\n" in probe.text(), 5, "the probe notices")
    held = probe.samples()
    wait_until(lambda: is_ready(probe), 20, "it is started again")
    after = probe.samples()
    assert probe.kernel() != victim
    assert "\ncpp_probe_restarts_total 1\n" in probe.text()
    for key, sample in before.items():
        assert sample.value <= held[key].value <= after[key].value, key


def test_two_cpus_that_count_a_new_key_at_once_lose_nothing() -> None:
    mount = next(path for path in map(Path, MOUNTS) if (path / "cgroup.controllers").exists())
    folders = [mount / f"cpp-race-{os.getpid()}-{number}" for number in range(30)]
    with kernel.running(2.0) as running:
        events = parse(running.lines, time.time)
        next(event for event in events if isinstance(event, Print))
        for folder in folders:
            folder.mkdir()
        cgroups = {str(folder.stat().st_ino) for folder in folders}
        try:
            subprocess.run([sys.executable, "-c", RACE, *folders], check=True, timeout=60)
        finally:
            for folder in folders:
                folder.rmdir()
        done = time.time()
        printed = next(event for event in events if isinstance(event, Print) and event.at > done)
    counts = {tuple(key.split(",")): count for key, count in printed.maps["calls"].items()}
    made = [counts.get((cgroup, str(call)), 0) for cgroup in cgroups for call in (*range(345, 424), *range(480, 510))]
    assert set(made) == {2}


def test_calls_of_a_cgroup_that_is_left_out_are_counted_no_more_until_all_are_again() -> None:
    own = Hierarchy(find_hierarchy(Path("/sys/fs/cgroup"))).own()
    assert own

    def counted(events: Iterator[Event]) -> int:
        for _ in range(1000):
            ctypes.CDLL(None).syscall(400)
        began = time.time()
        printed = next(event for event in events if isinstance(event, Print) and event.at > began)
        return printed.maps["calls"].get(f"{own},400", 0)

    with kernel.running(0.5) as running:
        events = parse(running.lines, time.time)
        next(event for event in events if isinstance(event, Print))
        assert counted(events) == 1000
        running.leave_out([own])
        next(event for event in events if isinstance(event, Print))
        assert counted(events) == 1000
        running.leave_out([0])
        next(event for event in events if isinstance(event, Print))
        assert counted(events) == 2000


def test_what_finds_no_room_is_told_the_maps_are_cleared_and_pairs_take_no_room_from_calls() -> None:
    # Calls that no kernel has: 12 cgroups make more pairs of 118 than there is room for, then 600 more calls than the
    # map for those that are counted without their pair can hold.
    mount = next(path for path in map(Path, MOUNTS) if (path / "cgroup.controllers").exists())
    with kernel.running(4.0) as running:
        events = parse(running.lines, time.time)
        next(event for event in events if isinstance(event, Print))
        filler = [sys.executable, "-c", FILLER, mount, f"cpp-truth-{os.getpid()}"]
        told = subprocess.run(filler, check=True, timeout=60, capture_output=True, text=True).stdout.split()
        lost = next(event for event in events if isinstance(event, Lost))
        prints = (event for event in events if isinstance(event, Print))
        full, cleared = next(prints), next(prints)
        for _ in range(1000):
            ctypes.CDLL(None).syscall(400)
        after = next(prints)
    assert lost.events > 1000
    assert (full.cleared, cleared.cleared, after.cleared) == (False, True, False)
    assert len(after.maps["calls"]) < len(full.maps["calls"]) / 2
    assert {cleared.maps["calls"][f"{cgroup},{call}"] for cgroup in told[:12] for call in range(345, 424)} == {
        2 * 118 + 1
    }
    own = Hierarchy(find_hierarchy(Path("/sys/fs/cgroup"))).own()
    assert after.maps["calls"][f"{own},400"] == 1000


def test_the_probe_is_small(probe: RunningProbe) -> None:
    resident = sum(
        int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])
        for pid in (probe.process.pid, probe.kernel())
    )
    assert resident < 120 * 1024
