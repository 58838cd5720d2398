"""The program that counts in the kernel, as a child process; its sources are in ``programs``."""

import os
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
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
    leave_out: Callable[[Sequence[int]], None]
    """Let it count the calls of these cgroup ids no more; 0 among them: of all again."""


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
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Running(iter(process.stdout), process.wait, partial(_order, process.stdin.fileno()))
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def _order(pipe: int, cgroups: Sequence[int]) -> None:
    """Write the ids; a program that has ended is found out by its lines."""
    with suppress(BrokenPipeError):
        os.write(pipe, array("Q", cgroups).tobytes())
