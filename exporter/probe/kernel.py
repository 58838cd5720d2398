"""The program that counts in the kernel, as a child process; its sources are in ``programs``."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter.probe.protocols import PORTS

NAME = "cpp-probe-kernel"


@dataclass(frozen=True)
class Running:
    """The program while it runs."""

    lines: Iterator[str]
    """What it prints; they end when it ends."""
    wait: Callable[[], int]
    """Wait for its end and return its code, or less than 0 for the signal that ended it."""


def path() -> Path:
    """Return where the program is: beside the interpreter, where set-up and the image put it."""
    return Path(sys.executable).with_name(NAME)


@contextmanager
def running(interval: float) -> Iterator[Running]:
    """Run the program, printing each ``interval`` seconds.

    ``setpriv`` ties it to the life of the calling thread, so that a killed probe leaves nothing in the kernel.
    """
    settings = [str(round(interval * 1000)), *map(str, PORTS)]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", str(path()), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Running(iter(process.stdout), process.wait)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
