"""A node of 500 containers through the real exporter: reading over HTTP, parsing, scoring, forecasting, rendering.

The forecast has a full day of minutes behind it. Time is made up and cycles follow each other at once, so that a
few CPU seconds tell what a quarter of an hour of a node costs. ARIMA is off: its child is measured by itself.
"""

import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
from synthetic import EPOCH, Node

import exporter.sources.http as http_source
from exporter import logs
from exporter.allocator import return_memory_early
from exporter.config import Config
from exporter.history.signals import RESOURCES
from exporter.run import Exporter

CONTAINERS = 500
INTERVAL = 15.0
_WARM = 2
_CYCLES = 16
_MOST_CPU_SECONDS = 1.5
_MOST_SERIES = 120
_USUAL = (0.3, 180 * 2**20, 7e4, 7e4, 48, 14)
"""Use around which the past of each resource swings, in the order of RESOURCES."""


def main() -> None:
    """Print the cost of a cycle, its split, and what it serves."""
    logs.set_up_logging("error", "logfmt")
    return_memory_early()
    with served(Node(CONTAINERS)) as port:
        clock = Clock()
        exporter = Exporter(config_for(port), clock)
        watch = Stopwatch()
        watch.follow(exporter)
        run(exporter, clock, _WARM)
        fill_a_day(exporter)
        replay = run(exporter, clock, 1)[0]
        watch.laps.clear()
        costs = run(exporter, clock, _CYCLES)
        _report(exporter, costs, replay, watch)
        exporter.close()


class Clock:
    """Made-up time."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> float:
        return self.now


class Stopwatch:
    """CPU seconds of each room of the exporter, by cycle."""

    def __init__(self) -> None:
        self.laps: list[Counter[str]] = []

    def follow(self, exporter: Exporter) -> None:
        """Measure from now on; a cycle begins with reading."""
        cycle: Any = exporter.cycle
        http_source.parse_chunks = self._timed("parse", http_source.parse_chunks)
        for owner, method, room in (
            (cycle.history, "update", "update"),
            (cycle._assessor, "assess", "assess"),
            (cycle._forecaster, "observe", "forecast"),
            (cycle.publisher, "publish", "render"),
        ):
            setattr(owner, method, self._timed(room, getattr(owner, method)))

    def _timed(self, room: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **more: Any) -> Any:
            started = time.thread_time()
            try:
                return work(*arguments, **more)
            finally:
                self._add(room, time.thread_time() - started)

        return timed

    def _add(self, room: str, seconds: float) -> None:
        if not self.laps or (room == "parse" and "render" in self.laps[-1]):
            self.laps.append(Counter())
        self.laps[-1][room] += seconds


def fill_a_day(exporter: Exporter) -> None:
    """Write a day of minutes as backfill does: usage that swings with the day, with noise."""
    history = exporter.cycle.history
    rows, random = len(history.registry), np.random.default_rng(7)
    held_back = np.full((rows, 2), np.nan)
    for minute in range(1440):
        swing = 1 + 0.4 * np.sin(2 * np.pi * minute / 1440 + np.arange(rows)[:, None] / 40)
        noise = random.normal(1, 0.1, (rows, len(RESOURCES)))
        history.demand.write(np.float32(_USUAL * swing * noise), np.float32(held_back))
    history.steps += 1
    _fill_an_hour(history)


def _fill_an_hour(history: Any) -> None:
    """Repeat the newest column of the fine history with noise, so that scores look at a full window."""
    random, fine = np.random.default_rng(8), history._fine
    newest = fine.view(len(history.registry))[:, :, -1].copy()
    for _ in range(round(3600 / INTERVAL)):
        fine.advance()
        fine.write(newest * random.normal(1, 0.05, newest.shape))


def config_for(port: int) -> Config:
    """Return the configuration of an exporter whose sources are at ``port``."""
    sources = {name: {"url": f"http://127.0.0.1:{port}/{name}", "timeout": 30} for name in ("cadvisor", "probe")}
    return Config.model_validate({"node": "bench", "sources": sources, "forecast": {"arima": False}})


def run(exporter: Exporter, clock: Clock, cycles: int) -> list[float]:
    """Return the CPU seconds of each of so many turns, all threads together."""
    taken = []
    for _ in range(cycles):
        clock.now += INTERVAL
        started = time.process_time()
        exporter.turn()
        taken.append(time.process_time() - started)
    return taken


def _report(exporter: Exporter, costs: list[float], replay: float, watch: Stopwatch) -> None:
    packed = exporter.cycle.publisher.page
    page = gzip.decompress(packed)
    counts: Counter[bytes] = Counter()
    for found in re.finditer(rb'^\w+\{[^\n]*container_id="(\w{64})"', page, re.MULTILINE):
        counts[found[1]] += 1
    _print("cpu_seconds_per_cycle_mean", float(np.mean(costs)), "bar", _MOST_CPU_SECONDS)
    _print("cpu_seconds_per_cycle_worst", max(costs), "bar", _MOST_CPU_SECONDS)
    _print("cpu_cores_at_15s", float(np.mean(costs)) / INTERVAL, "one core", 1.0)
    _print("cpu_seconds_first_cycle_with_a_day_of_past", replay, "bar", None)
    for room in ("parse", "update", "assess", "forecast", "render"):
        taken = [lap[room] for lap in watch.laps]
        _print(f"cpu_seconds_{room}_mean", float(np.mean(taken)), "whole cycle", float(np.mean(costs)))
        _print(f"cpu_seconds_{room}_worst", max(taken), "whole cycle", max(costs))
    _print("page_bytes_per_container", len(page) / CONTAINERS, "bar", None)
    _print("packed_bytes_per_container", len(packed) / CONTAINERS, "its text", len(page) / CONTAINERS)
    _print("series_per_container_most", max(counts.values()), "bar", _MOST_SERIES)
    _print("series_per_container_mean", sum(counts.values()) / len(counts), "bar", _MOST_SERIES)


def resident_mib() -> float:
    """Return the memory of this process that is in RAM now."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _print(metric: str, value: float, peer: str, peer_value: float | None) -> None:
    line: dict[str, object] = {"bench": "cycle", "metric": metric, "value": round(value, 4)}
    line |= {"peer": peer, "peer_value": None, "ratio": None}
    if peer_value is not None:
        line |= {"peer_value": round(peer_value, 4), "ratio": round(value / peer_value, 3)}
    print(json.dumps(line), flush=True)


@contextmanager
def served(node: Node) -> Iterator[int]:
    """Serve the text of ``node`` from another process, whose cost is not ours; yield the port."""
    context = get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_serve, args=(there, node), daemon=True)
    child.start()
    try:
        yield here.recv()
    finally:
        child.terminate()
        child.join()


def _serve(pipe: Connection, node: Node) -> None:
    reads = {"/cadvisor": 0, "/probe": 0}

    def answer(environment: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        path = environment["PATH_INFO"]
        reads[path] += 1
        text = (node.cadvisor if path == "/cadvisor" else node.probe)(EPOCH + INTERVAL * reads[path] - 1)
        start("200 OK", [("Content-Type", "text/plain; version=0.0.4"), ("Content-Length", str(len(text)))])
        return [text]

    with make_server("127.0.0.1", 0, answer, handler_class=_Quiet) as server:
        pipe.send(server.server_port)
        server.serve_forever()


class _Quiet(WSGIRequestHandler):
    log_message = partial(lambda *_: None)


if __name__ == "__main__":
    main()
