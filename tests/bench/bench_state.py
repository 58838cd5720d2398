"""What it costs to remember a node of 500 containers with a day of history: beside numpy.savez of the same arrays.

The peer copies everything at once, as it must while nothing may change, and writes without asking for the disk's word.
"""

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_cycle import CONTAINERS, Clock, config_for, fill_a_day, run, served
from synthetic import Node

from exporter import logs
from exporter.allocator import return_memory_early
from exporter.persist.keeper import FILE
from exporter.run import Exporter
from exporter.sections import StateConfig

_TIMES = 5
_LONGEST_STALL = 0.1
"""Seconds for which a turn may be held back by the saving of the one before."""


def main() -> None:
    """Print the cost of a saving and of a restart."""
    logs.set_up_logging("error", "logfmt")
    return_memory_early()
    with served(Node(CONTAINERS)) as port, tempfile.TemporaryDirectory(prefix="cpp-bench-state-") as directory:
        clock = Clock()
        state = StateConfig(directory=Path(directory), interval=1e-9)
        config = config_for(port).model_copy(update={"state": state})
        exporter = Exporter(config, clock)
        run(exporter, clock, 2)
        fill_a_day(exporter)
        run(exporter, clock, 4)
        size = _measure_saving(exporter.cycle, clock, Path(directory))
        _print("mib_per_container", size / 2**20 / CONTAINERS, None)
        exporter.close()
        resumed = Exporter(config, clock)
        _print("cpu_seconds_to_resume", _cpu(lambda: resumed.cycle.resume(clock())), None)
        resumed.close()


def _measure_saving(cycle: Any, clock: Clock, directory: Path) -> int:
    """Print CPU, delay and memory of ours beside the peer's; return the file's size in bytes."""
    keeper, stalls = cycle._keeper, []
    keeper._writer.join()

    def save() -> None:
        clock.now += 1
        begun = time.perf_counter()
        keeper.offer(cycle._export, clock())
        stalls.append(time.perf_counter() - begun)
        keeper._writer.join()

    before = _peak_mib()
    ours = min(_cpu(save) for _ in range(_TIMES))
    taken = _peak_mib() - before
    peer = min(_cpu(lambda: _save_at_once(cycle, directory / "peer.npz")) for _ in range(_TIMES))
    _print("cpu_seconds_per_saving", ours, peer)
    _print("seconds_a_turn_is_held_back", max(stalls), _LONGEST_STALL, "bar")
    _print("peak_mib_taken", taken, _peak_mib() - before)
    return (directory / FILE).stat().st_size


def _save_at_once(cycle: Any, file: Path) -> None:
    np.savez(file, **{name: array.copy() for name, array in cycle._export().items()})


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _print(metric: str, value: float, peer_value: float | None, peer: str = "numpy.savez of copies") -> None:
    line: dict[str, object] = {"bench": "state", "metric": metric, "value": round(value, 4)}
    known = peer_value is not None
    line |= {"peer": peer if known else None, "peer_value": peer_value and round(peer_value, 4)}
    print(json.dumps(line | {"ratio": round(value / peer_value, 3) if peer_value else None}), flush=True)


if __name__ == "__main__":
    main()
