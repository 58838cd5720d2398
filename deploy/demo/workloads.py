"""The demo's containers: three stories on two cores."""

import time
from dataclasses import dataclass

from deploy.demo.containers import Containers, main_pid
from deploy.demo.kernel import LimitFiles, limit_files

PERIOD = 50.0
BUSY = 12.0
SERVICE_LIMIT = 0.35
NOISE_AFTER = 150.0
"""Seconds after which the noise starts at the latest; else as soon as the service has its CPU."""
_LEAK_LIMIT = "192m"


@dataclass(frozen=True)
class Workload:
    """One container, and what it does."""

    name: str
    arguments: tuple[str, ...]
    options: tuple[str, ...]
    tells: str


# The service's periods begin at multiples of PERIOD since the epoch, so that the next rise is known to the second.
SERVICE = Workload(
    "service",
    ("rhythm", "--low=0.05", "--high=0.5", f"--period={PERIOD:.0f}s", f"--high-for={BUSY:.0f}s", "--align"),
    (f"--cpus={SERVICE_LIMIT}", "--cpuset-cpus=0", "--memory=64m"),
    f"wants 0.5 cores for {BUSY:.0f} s in every {PERIOD:.0f} s, and has a limit of {SERVICE_LIMIT}",
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


def next_rise(now: float) -> float:
    """Return the epoch seconds at which the service's demand rises next."""
    return (now // PERIOD + 1) * PERIOD


def since_rise(now: float) -> float:
    """Return the seconds since the service's demand last rose."""
    return now % PERIOD


def wait_until(at: float) -> None:
    """Sleep until epoch seconds ``at``."""
    time.sleep(max(0.0, at - time.time()))
