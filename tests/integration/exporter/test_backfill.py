import contextlib
import json
import re
from collections.abc import Callable

import numpy as np
import pytest

from exporter.backfill import backfill
from exporter.config import Config
from exporter.history.identity import Identity
from exporter.history.signals import RESOURCES
from exporter.history.store import History
from exporter.sources.prometheus import HistoryUnavailableError, fetch_labelled, fetch_range

NOW = 1_800_000_030.0
STEP = 60.0
LAST = NOW // STEP * STEP
FAMILIES = {
    "cpp_cpu_usage_cores": 0.5,
    "cpp_memory_working_set_bytes": 1e8,
    "cpp_disk_io_bytes_per_second": 300.0,
    "cpp_network_io_bytes_per_second": 400.0,
    "cpp_file_descriptors": 12.0,
    "cpp_threads": 5.0,
    "cpp_cpu_throttled_ratio": 0.4,
    "oom": 1.2e8,
}

Serve = Callable[..., contextlib.AbstractContextManager[str]]


class Prometheus:
    """Knows two containers for the last ten minutes: one that lives, one that went; CPU was throttled once."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(query)
        assert path == "/api/v1/query_range"
        start, end, step = (self._seconds(query[key]) for key in ("start", "end", "step"))
        stamps = [t for t in np.arange(start, end + 1, step).tolist() if t > LAST - 600]
        for mark, ago in (("throttled", 120), ("oom_kills", 180), ("> 0.95", 240)):
            if mark in query["query"]:
                stamps = [t for t in stamps if t == LAST - ago]
        family = re.search(r"cpp_\w+", query["query"])
        value = FAMILIES["oom"] if "oom_kills" in query["query"] else FAMILIES[family[0]] if family else 0.0
        result = [
            {"metric": {"container_id": name, "node": "n1"}, "values": [[t, str(value)] for t in stamps]}
            for name in ("alive", "gone")
        ]
        found = {"status": "success", "data": {"resultType": "matrix", "result": result if stamps else []}}
        return 200, json.dumps(found).encode()

    @staticmethod
    def _seconds(text: str) -> float:
        return float(text.removesuffix("s"))


@pytest.fixture
def history() -> History:
    made = History(Config(node="n1"))
    for name in ("alive", "young"):
        made.registry.admit(Identity(key=name, container=name, container_id=name), NOW)
    for ring in made.demand.rings:
        ring.grow(3)
    return made


def _backfill(history: History, url: str, since: float = 0.0) -> int:
    config = Config(node="n1", sources={"prometheus": {"url": url}})
    assert config.sources.prometheus is not None
    return backfill(history, config, config.sources.prometheus, NOW, since)


def test_the_past_of_who_lives_is_read_and_of_nobody_else(history: History, serve: Serve) -> None:
    prometheus = Prometheus()
    with serve(prometheus) as url:
        assert _backfill(history, url) == 10
    grid = history.demand.grid(history.registry, STEP, LAST)
    for resource, value in zip(RESOURCES, list(FAMILIES.values())[: len(RESOURCES)], strict=True):
        past = grid.values[1, RESOURCES.index(resource)]
        np.testing.assert_allclose(past[-3:], value)
        assert np.isfinite(past[-10:]).all()
        assert np.isnan(past[:-10]).all()
    assert np.isnan(grid.values[[0, 2]]).all()
    assert all('node="n1",container_id=~"alive|young"' in asked["query"] for asked in prometheus.asked)
    assert history.steps == 1


def test_what_held_the_past_back_is_read_too(history: History, serve: Serve) -> None:
    with serve(Prometheus()) as url:
        _backfill(history, url)
    grid = history.demand.grid(history.registry, STEP, LAST)
    last, cpu, memory = grid.values.shape[2] - 1, RESOURCES.index("cpu"), RESOURCES.index("memory")
    assert np.argwhere(grid.censored).tolist() == [[1, cpu, last - 2], [1, memory, last - 4]]
    assert np.flatnonzero(grid.values[1, memory] == FAMILIES["oom"]).tolist() == [last - 3]


def test_a_day_of_short_steps_is_asked_for_in_parts_that_prometheus_answers(serve: Serve) -> None:
    prometheus = Prometheus()
    with serve(prometheus) as url:
        ((_, (stamps, values)), _) = fetch_labelled(url, "cpp_threads", (LAST - 86400, LAST), 2.0, 30.0)
    for asked in prometheus.asked:
        points = (float(asked["end"]) - float(asked["start"])) / 2
        assert points <= 11_000
    assert len(prometheus.asked) > 1
    assert np.unique(stamps).size == stamps.size == 300
    assert set(values) == {5.0}


def test_series_are_named_as_in_promql(serve: Serve) -> None:
    with serve(Prometheus()) as url:
        found = fetch_range(url, "cpp_threads", LAST - 120, LAST, STEP, 10.0)
    assert set(found) == {'{container_id="alive",node="n1"}', '{container_id="gone",node="n1"}'}


def test_what_was_seen_here_stays_and_only_what_is_missing_is_filled_in(history: History, serve: Serve) -> None:
    cpu, memory = RESOURCES.index("cpu"), RESOURCES.index("memory")
    seen = np.full((3, len(RESOURCES)), np.nan, np.float32)
    seen[1, cpu] = 7.0
    none = np.full((3, 2), np.nan, np.float32)
    history.demand.write(seen, none, steps=3)
    with serve(Prometheus()) as url:
        assert _backfill(history, url) == 10
    grid = history.demand.grid(history.registry, STEP, LAST)
    assert grid.values[1, cpu, -10:].tolist() == [0.5] * 7 + [7.0] + [0.5] * 2
    np.testing.assert_allclose(grid.values[1, memory, [-10, -3, -1]], 1e8)
    assert not grid.censored[1, cpu, -3], "the bound belongs to what was seen elsewhere"


def test_only_what_came_after_the_memory_is_asked_for(history: History, serve: Serve) -> None:
    prometheus = Prometheus()
    with serve(prometheus) as url:
        assert _backfill(history, url, since=LAST - 180) == 3
    assert {float(asked["start"]) for asked in prometheus.asked} == {LAST - 120}


@pytest.mark.parametrize(
    "answer",
    [(400, b'{"status":"error"}'), (500, b"oops"), (200, b"<html>"), (200, b"{}")],
    ids=["refused", "broken", "no JSON", "no data"],
)
def test_a_prometheus_that_answers_badly_is_an_error_and_nothing_is_written(
    history: History, serve: Serve, answer: tuple[int, bytes]
) -> None:
    with serve(lambda path, query: answer) as url, pytest.raises(HistoryUnavailableError):
        _backfill(history, url)
    assert history.steps == 0


def test_a_prometheus_that_is_not_there_is_an_error(history: History, free_port: Callable[[], int]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(HistoryUnavailableError):
        _backfill(history, url)
    with pytest.raises(HistoryUnavailableError):
        fetch_range(url, "up", 0.0, 10.0, 1.0, 2.0)


def test_a_prometheus_that_knows_nothing_leaves_the_history_empty(history: History, serve: Serve) -> None:
    nothing = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}}).encode()
    with serve(lambda path, query: (200, nothing)) as url:
        assert _backfill(history, url) == 0
    assert history.steps == 0
