"""The training child: ``python -m exporter.forecast.child`` reads a request on stdin and answers on stdout.

It alone imports heavy libraries, is started for one pass, works at the lowest priority, and stops when its time is up:
what it has by then is its answer. Both are npz files of named arrays (exporter.forecast.exchange). ``seconds`` in the
request is how long the pass may take, ``cpu_seconds`` how much CPU time. Each task takes the arrays that it knows and
adds its own to the answer. One that raises is named in ``failed``, and costs the others nothing.
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from exporter.forecast import boosting, exchange, fitting, sequences
from exporter.forecast.exchange import Arrays

Task = Callable[[Arrays, Callable[[], bool]], Arrays]

TASKS: Final[tuple[Task, ...]] = (sequences.learn, boosting.learn, fitting.fit)
"""Each is asked with the request and a function that is true once it should come to its end."""
_MEMORY_LIMIT = 3 << 30
_OVERTIME = 60.0
"""Seconds beyond its own limit after which the kernel ends a child whose parent, which would, is gone."""


def main() -> None:
    """Serve one pass."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, _MEMORY_LIMIT))
    request = exchange.read(sys.stdin.buffer.read())
    signal.setitimer(signal.ITIMER_REAL, float(request["seconds"]) + _OVERTIME)
    sys.stdout.buffer.write(exchange.write(serve(request)))


def serve(request: Arrays) -> Arrays:
    """Return what all tasks answer, and as ``failed`` the names of those that raised."""
    wall = time.monotonic() + float(request["seconds"])
    cpu = time.process_time() + float(request["cpu_seconds"])

    def enough() -> bool:
        return time.monotonic() >= wall or time.process_time() >= cpu

    answer: Arrays = {}
    failed = []
    for task in TASKS:
        try:
            answer |= task(request, enough)
        except Exception as error:  # whatever ails one task, the others' work is not lost
            failed.append(task.__module__.rpartition(".")[2])
            sys.stderr.write(f"{failed[-1]} failed: {' '.join(repr(error).split())}\n")
    return answer | {"failed": np.array(failed, np.str_)}


if __name__ == "__main__":
    main()
