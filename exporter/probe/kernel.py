"""The program that counts in the kernel, as a child process; its sources are in ``programs``."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.probe.protocols import PORTS

NAME = "cpp-probe-kernel"


def path() -> Path:
    """Return where the program is: beside the interpreter, where set-up and the image put it."""
    return Path(sys.executable).with_name(NAME)


@contextmanager
def running(interval: float, one_in: int) -> Iterator[Iterator[str]]:
    """Run the program, printing each ``interval`` seconds; yield its lines, which end when it ends.

    One call in ``one_in`` begins a counted pair, with 0 none does.
    ``setpriv`` ties it to the life of the calling thread, so that a killed probe leaves nothing in the kernel.
    """
    settings = [str(round(interval * 1000)), str(one_in), *map(str, PORTS)]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", str(path()), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield iter(process.stdout)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
