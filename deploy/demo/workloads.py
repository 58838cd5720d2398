"""The demo's containers: three stories on two cores."""

from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.demo.containers import Containers, inspect, main_pid
from deploy.demo.kernel import LimitFiles, limit_files

PERIOD = 50.0
BUSY = 10.0
DEMAND = 0.5
"""Cores that the service wants while it is busy."""
SERVICE_LIMIT = 0.35
NOISE_AFTER = 240.0
"""Seconds after which the noise starts at the latest; else as soon as the service has its CPU."""
_LEAK_LIMIT = "192m"


@dataclass(frozen=True)
class Workload:
    """One container, and what it does."""

    name: str
    arguments: tuple[str, ...]
    options: tuple[str, ...]
    tells: str


# The service's periods begin with its start, so that each later rise of its demand is known to the second.
SERVICE = Workload(
    "service",
    ("rhythm", "--low=0.05", f"--high={DEMAND}", f"--period={PERIOD:.0f}s", f"--high-for={BUSY:.0f}s"),
    (f"--cpus={SERVICE_LIMIT}", "--cpuset-cpus=0", "--memory=64m"),
    f"wants {DEMAND} cores for {BUSY:.0f} s in every {PERIOD:.0f} s, and has a limit of {SERVICE_LIMIT}",
)
LEAK = Workload(
    "leak",
    ("leak", "--rate=1MiB/s", "--start=24MiB", "--max=224MiB"),
    (f"--memory={_LEAK_LIMIT}", f"--memory-swap={_LEAK_LIMIT}", "--cpuset-cpus=0", "--cpus=0.2"),
    f"grows by 1 MiB every second and needs more than its limit of {_LEAK_LIMIT[:-1]} MiB in 3 minutes",
)
VICTIM = Workload(
    "victim",
    ("cpu", "--duty=0.3", "--period=50ms"),
    ("--cpuset-cpus=1", "--memory=64m"),
    "quietly uses 0.3 of core 1",
)
NOISE = Workload(
    "noise",
    ("spin", "--threads=4"),
    ("--cpuset-cpus=1", "--memory=64m"),
    "spins four threads on core 1, beside the victim, with no limit",
)


def start(containers: Containers, workload: Workload) -> tuple[str, LimitFiles]:
    """Start a workload; return the container's name and its limit files."""
    identity = containers.start(workload.name, workload.arguments, workload.options)
    return f"{containers.run}-{workload.name}", limit_files(main_pid(identity))


@dataclass(frozen=True)
class Rhythm:
    """When the service's demand rises, from the start of its container."""

    origin: float
    """Epoch seconds of the first rise."""

    def next_rise(self, now: float) -> float:
        """Return the epoch seconds of the next rise."""
        return now - self.since_rise(now) + PERIOD

    def since_rise(self, now: float) -> float:
        """Return the seconds since the last rise."""
        return (now - self.origin) % PERIOD

    def busy(self, now: float) -> bool:
        """Return whether the demand is high."""
        return self.since_rise(now) < BUSY


def rhythm_of(container: str) -> Rhythm:
    """Return the rhythm of the running service, from what Docker says of its start."""
    # Docker writes nanoseconds, which fromisoformat of Python 3.11 does not read.
    started = inspect(container)["State"]["StartedAt"].rstrip("Z")[:26]
    return Rhythm(datetime.fromisoformat(started).replace(tzinfo=UTC).timestamp())
