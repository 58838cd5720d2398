"""bpftrace as a child process."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files

PAIRS_EVERY = 5
"""Intervals between two readings of the pairs of calls, which are many."""
MAP_KEYS = 32768
"""Keys a map can hold: some 500 containers between two clearings; 3 MB of kernel memory a map on two cores."""

_ENVIRONMENT = {
    "BPFTRACE_MAP_KEYS_MAX": str(MAP_KEYS),
    "BPFTRACE_PERF_RB_PAGES": "8",  # only a handful of messages an interval goes through the ring
    # The compiler's garbage goes back to the system: 6 MB less for as long as the probe lives.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "32768",
    "MALLOC_TRIM_THRESHOLD_": "0",
    "MALLOC_TOP_PAD_": "0",
}


@contextmanager
def running(interval: float, one_in: int) -> Iterator[Iterator[str]]:
    """Run the program, printing each ``interval`` seconds; yield its lines, which end when it ends.

    One call in ``one_in`` begins a counted pair, with 0 none does.
    ``setpriv`` ties it to the life of the calling thread, so that a killed probe leaves nothing in the kernel.
    """
    with as_file(files(__package__).joinpath("kernel.bt")) as program:
        command = ["setpriv", "--pdeathsig", "KILL", "bpftrace", "-B", "line", "-f", "json"]
        milliseconds = round(interval * 1000)
        process = subprocess.Popen(
            [*command, str(program), str(milliseconds), str(one_in), str(PAIRS_EVERY * milliseconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | _ENVIRONMENT,
        )
        assert process.stdout is not None
        try:
            yield iter(process.stdout)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
