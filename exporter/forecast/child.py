"""The training child: ``python -m exporter.forecast.child`` reads a request on stdin and answers on stdout.

It alone imports heavy libraries, is started for one pass, works at the lowest priority, and stops when its time is up:
what it has by then is its answer. Both are npz files of named arrays (exporter.forecast.exchange). ``seconds`` in the
request is how long the pass may take, ``cpu_seconds`` how much CPU time. Each task takes the arrays that it knows and
adds its own to the answer.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Final

from exporter.forecast import boosting, exchange, fitting, sequences
from exporter.forecast.exchange import Arrays

Task = Callable[[Arrays, Callable[[], bool]], Arrays]

TASKS: Final[tuple[Task, ...]] = (sequences.learn, boosting.learn, fitting.fit)
"""Each is asked with the request and a function that is true once it should come to its end."""
_MEMORY_LIMIT = 3 << 30


def main() -> None:
    """Serve one pass."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, _MEMORY_LIMIT))
    sys.stdout.buffer.write(exchange.write(serve(exchange.read(sys.stdin.buffer.read()))))


def serve(request: Arrays) -> Arrays:
    """Return what all tasks answer."""
    wall = time.monotonic() + float(request["seconds"])
    cpu = time.process_time() + float(request["cpu_seconds"])

    def enough() -> bool:
        return time.monotonic() >= wall or time.process_time() >= cpu

    answer: Arrays = {}
    for task in TASKS:
        answer |= task(request, enough)
    return answer


if __name__ == "__main__":
    main()
