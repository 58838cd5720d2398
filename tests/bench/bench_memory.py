"""Resident memory of the exporter: on a node of 500 containers with a day behind it, and while containers come and go.

Both run the exporter of ``run`` over HTTP on made-up time, as bench_cycle does, each in a process of its own.
"""

import gc
import json
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from bench_cycle import CONTAINERS, INTERVAL, Clock, config_for, fill_a_day, resident_mib, run, served
from synthetic import Churning, Node

from exporter import logs
from exporter.allocator import return_memory_early
from exporter.run import Exporter

_CYCLES = 24
_MOST_MIB = 200.0
_LASTING, _LIFE = 50, 30
_WARM_UP, _CHURN = 1020.0, 600.0
_FLAT_MIB, _FLAT_SHARE = 4.0, 0.01


@dataclass(frozen=True)
class Held:
    """What the process held after a cycle."""

    mib: float
    objects: int
    """That the collector follows."""
    containers: int
    """Ever seen."""


def main() -> None:
    """Print what is held on a full node, and what grows under churn."""
    for part in (_full_node, _under_churn):
        # The peak is the process's, so each part has its own.
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            for line in apart.submit(part).result():
                print(json.dumps(line), flush=True)


def _full_node() -> list[dict[str, object]]:
    _set_up()
    with served(Node(CONTAINERS)) as port:
        clock = Clock()
        exporter = Exporter(config_for(port), clock)
        run(exporter, clock, 2)
        fill_a_day(exporter)
        run(exporter, clock, _CYCLES)
        held = [resident_mib() for _ in range(_CYCLES) if run(exporter, clock, 1)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        exporter.close()
    return [
        _line("resident_mib_at_500_containers", max(held), _MOST_MIB),
        _line("peak_resident_mib_at_500_containers", peak, _MOST_MIB),
        _line("resident_mib_growth_over_six_minutes", held[-1] - held[0], _FLAT_MIB),
    ]


def _under_churn() -> list[dict[str, object]]:
    _set_up()
    held = list(churn(_WARM_UP + _CHURN))
    warm, last = held[round(_WARM_UP / INTERVAL)], held[-1]
    grown = last.objects / warm.objects - 1
    return [
        _line("containers_seen_under_churn", last.containers, None),
        _line("resident_mib_under_churn", max(each.mib for each in held), _MOST_MIB),
        _line("resident_mib_growth_under_churn", last.mib - warm.mib, _FLAT_MIB),
        _line("objects_growth_share_under_churn", grown, _FLAT_SHARE),
    ]


def churn(seconds: float, lasting: int = _LASTING, life: int = _LIFE) -> Iterator[Held]:
    """Yield what is held after each cycle of so many made-up seconds, in each of which one more container starts."""
    with served(Churning(lasting, life)) as port:
        clock = Clock()
        exporter = Exporter(config_for(port), clock)
        for _ in range(round(seconds / INTERVAL)):
            run(exporter, clock, 1)
            gc.collect()
            seen = int(exporter.cycle.history.registry.lives.max())
            yield Held(resident_mib(), len(gc.get_objects()), seen)
        exporter.close()


def _set_up() -> None:
    logs.set_up_logging("error", "logfmt")
    return_memory_early()


def _line(metric: str, value: float, bar: float | None) -> dict[str, object]:
    line: dict[str, object] = {"bench": "memory", "metric": metric, "value": round(value, 4)}
    ratio = None if bar is None else round(value / bar, 3)
    return line | {"peer": "bar", "peer_value": bar, "ratio": ratio}


if __name__ == "__main__":
    main()
