import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from exporter.assess.assessor import Assessor
from exporter.assess.scores import Scores
from exporter.history.signals import COLUMN, SIGNALS
from exporter.history.windows import Window
from exporter.sections import AssessConfig, ThresholdsConfig

CGROUPS = Path("/sys/fs/cgroup")
CORE = str((os.cpu_count() or 1) - 1)
CALM, PATIENCE = 8, 15
ALARM = ThresholdsConfig()
LOOP = "i=0; while [ $i -lt {} ]; do i=$((i+1)); done"
QUIET, BYSTANDER, QUOTA, SPINNER = range(4)

Start = Callable[..., int]


def _docker(*arguments: str, given: bytes | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, f"docker {arguments[0]}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def _image(tag: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
        for applet in ("sh", "usleep"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    _docker("import", "-", tag, given=buffer.getvalue())


def _favour(group: str) -> None:
    # What runs on the host outside of containers is no part of what is tried.
    shares, weight = CGROUPS / "cpu" / group / "cpu.shares", CGROUPS / group / "cpu.weight"
    if shares.exists():
        shares.write_text("262144")
    else:
        weight.write_text("10000")


@pytest.fixture
def start() -> Iterator[Start]:
    name, started = f"cpp-assess-{os.getpid()}", []
    _image(name)

    def run(script: str, *options: str) -> int:
        parent = f"--cgroup-parent=/{name}"
        started.append(_docker("run", "--detach", parent, *options, name, "/bin/sh", "-c", script))
        _favour(name)
        return int(_docker("inspect", "--format", "{{.State.Pid}}", started[-1]))

    try:
        yield run
    finally:
        if started:
            _docker("rm", "--force", *started)
        _docker("rmi", name)
        for group in {*CGROUPS.glob(name), *CGROUPS.glob(f"*/{name}")}:
            group.rmdir()


class Reader:
    """A container's own cgroup files, on version 1, 2 or both."""

    def __init__(self, pid: int) -> None:
        lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        self._of = {name: path for _, names, path in lines for name in names.split(",")}
        self._unified = CGROUPS / "unified" if (CGROUPS / "unified").is_dir() else CGROUPS
        self._before: np.ndarray | None = None

    def rates(self) -> dict[str, float]:
        now = np.array([time.monotonic(), self._usage(), self._waiting(), *self._throttling()])
        before, self._before = now if self._before is None else self._before, now
        span, usage, waiting, seconds, throttled, periods = now - before
        if not span:
            return {}
        share = throttled / periods if periods else 0.0
        named = {"cpu": usage, "cpu_waiting": waiting, "cpu_throttled_seconds": seconds}
        return {name: value / span for name, value in named.items()} | {"cpu_throttled": share}

    def _waiting(self) -> float:
        line = (self._unified / self._of[""].lstrip("/") / "cpu.pressure").read_text().splitlines()[0]
        return int(line.rsplit("=", 1)[1]) / 1e6

    def _usage(self) -> float:
        if "cpuacct" in self._of:
            return int((CGROUPS / "cpuacct" / self._of["cpuacct"].lstrip("/") / "cpuacct.usage").read_text()) / 1e9
        return self._stat()["usage_usec"] / 1e6

    def _throttling(self) -> tuple[float, int, int]:
        stat = self._stat()
        seconds = stat["throttled_time"] / 1e9 if "throttled_time" in stat else stat.get("throttled_usec", 0) / 1e6
        return seconds, stat.get("nr_throttled", 0), stat.get("nr_periods", 0)

    def _stat(self) -> dict[str, int]:
        root = (
            CGROUPS / "cpu" / self._of["cpu"].lstrip("/") if "cpu" in self._of else CGROUPS / self._of[""].lstrip("/")
        )
        pairs = (line.split() for line in (root / "cpu.stat").read_text().splitlines())
        return {name: int(value) for name, value in pairs}


class Recorder:
    """Keeps a window by hand, a column a second."""

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self._columns: list[np.ndarray] = []
        self._assessor = Assessor(AssessConfig())

    def second(self) -> Scores:
        time.sleep(1)
        column = np.full((SPINNER + 1, len(SIGNALS)), np.nan)
        for row, reader in enumerate(self.readers):
            for name, value in reader.rates().items():
                column[row, COLUMN[name]] = value
        self._columns.append(column)
        rows = np.arange(SPINNER + 1)
        nothing = np.full(len(rows), np.nan)
        return self._assessor.assess(
            Window(
                step=1.0,
                end=time.time(),
                lives=rows,
                workloads=rows,
                signals=np.stack(self._columns, axis=2).astype(np.float32),
                started=nothing,
                cpu_limit=nothing.astype(np.float32),
                memory_limit=nothing.astype(np.float32),
                syscalls=np.full((len(rows), 0), np.nan, dtype=np.float32),
                syscall_names=(),
                connections=np.full((len(rows), 0), np.nan, dtype=np.float32),
                protocol_names=(),
                node_cpu=np.full(len(self._columns), np.nan, dtype=np.float32),
            )
        )

    def last(self, row: int, signal: str) -> float:
        return float(self._columns[-1][row, COLUMN[signal]])

    def told(self, scores: Scores) -> str:
        use, waiting = self._columns[-1][:, COLUMN["cpu"]], self._columns[-1][:, COLUMN["cpu_waiting"]]
        caused, suffered = scores.caused[:, 0, 0], scores.suffered[:, 0]
        return f"cores {use.round(2)} waiting {waiting.round(2)} suffered {suffered} caused {caused}"


def _blame(scores: Scores, culprit: int) -> float:
    match = scores.victims[culprit, 0] == QUIET
    return float(scores.caused[culprit, 0][match].sum())


def test_a_spinner_is_named_within_fifteen_seconds_and_nobody_else_is(start: Start) -> None:
    pinned = f"--cpuset-cpus={CORE}"
    scripts = [
        (f"while :; do {LOOP.format(8000)}; usleep 40000; done", pinned),
        (f"while :; do {LOOP.format(800)}; usleep 100000; done", pinned),
        ("while :; do :; done", "--cpuset-cpus=0", "--cpus=0.3"),
    ]
    record = Recorder()
    record.readers = [Reader(start(*script)) for script in scripts]
    for _ in range(CALM):
        calm = record.second()
    assert record.last(QUOTA, "cpu_waiting") > 0.5, "a throttled task should count as waiting"
    assert calm.suffered[QUOTA, 0] < record.last(QUOTA, "cpu_waiting") / 2
    assert calm.caused.max() < ALARM.interference_caused

    record.readers.append(Reader(start("while :; do :; done", pinned)))
    began = time.monotonic()
    while _blame(scores := record.second(), SPINNER) <= ALARM.interference_caused:
        assert time.monotonic() - began < PATIENCE, record.told(scores)
    for _ in range(5):
        scores = record.second()
    print(record.told(scores))
    assert scores.suffered[QUIET, 0] > ALARM.interference_suffered
    assert _blame(scores, SPINNER) > ALARM.interference_caused
    assert scores.caused[[QUIET, BYSTANDER, QUOTA]].max() < ALARM.interference_caused / 2
    assert any("neighbour waits" in reason for reason in scores.reasons[SPINNER])
