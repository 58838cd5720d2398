import dataclasses
import gzip
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.assess.scores import INTERFERENCE, TOP_VICTIMS
from exporter.config import Config
from exporter.cycle import Cycle
from exporter.history.signals import LEVELS, RESOURCES
from exporter.publish.catalogue import BY_NAME
from exporter.publish.exposition import Page, Series, write_labels
from exporter.publish.series import MAX_SERIES, add_containers, identity_labels
from exporter.sections import ForecastConfig
from exporter.state import State

FullState = Callable[..., tuple[Cycle, State]]
Read = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _read(page: bytes) -> Read:
    """Return all samples by name and labels; no sample is there twice."""
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def _of(samples: Read, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        key: value for (metric, key), value in samples.items() if metric == name and labels.items() <= dict(key).items()
    }


def _of_catalogue(page: bytes) -> bytes:
    text, process = gzip.decompress(page).split(b"# HELP process_", 1)
    assert b"process_resident_memory_bytes" in process
    return text


def _one(samples: Read, name: str, **labels: str) -> float:
    (value,) = _of(samples, name, **labels).values()
    return value


_TEXTS = st.text(st.one_of(st.sampled_from('{}" \\\n,=#'), st.characters(exclude_categories=["Cs", "Cc"])), max_size=15)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(_TEXTS, st.floats(), min_size=1, max_size=5), _TEXTS)
def test_what_is_written_is_what_the_reference_parser_reads(rows: dict[str, float], more: str) -> None:
    page = Page([write_labels({"container": name}) for name in rows])
    values = np.array(list(rows.values()))
    page.add(Series("cpp_cpu_usage_cores", values, digits=17))
    page.add(Series("cpp_threads", values, write_labels({"direction": more}), digits=17))
    page.add_one("cpp_containers", 5.0)
    read = _read(gzip.decompress(page.packed()))
    for name, value in rows.items():
        if math.isnan(value):
            assert not _of(read, "cpp_cpu_usage_cores", container=name)
        else:
            assert read["cpp_cpu_usage_cores", (("container", name),)] == value
            assert read["cpp_threads", (("container", name), ("direction", more))] == value
    assert page.series == len(read)


def test_families_are_announced_once_with_help_and_type_in_the_catalogues_order(full_state: FullState) -> None:
    cycle, _ = full_state()
    lines = _of_catalogue(cycle.publisher.page).decode().splitlines()
    announced = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert announced == [name for name in BY_NAME if name in announced]
    assert [line.split()[2] for line in lines if line.startswith("# HELP")] == announced
    assert {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")} == set(announced)


def test_the_page_says_what_the_sources_said(full_state: FullState) -> None:
    cycle, _ = full_state(("web",), calls=3)
    read = _read(_of_catalogue(cycle.publisher.page))
    expected = {
        "cpp_cpu_usage_cores": 0.5,
        "cpp_memory_working_set_bytes": 2.0**27,
        "cpp_file_descriptors": 20,
        "cpp_threads": 7,
        "cpp_processes": 2,
        "cpp_cpu_limit_cores": 2,
        "cpp_memory_limit_bytes": 2.0**28,
        "cpp_memory_request_bytes": 2.0**26,
        "cpp_cpu_throttled_ratio": 0.1,
        "cpp_oom_kills_total": 0,
        "cpp_container_start_timestamp_seconds": 1_800_000_000 - 3600,
        "cpp_thread_creations_per_second": 1,
        "cpp_file_opens_per_second": 2,
    }
    assert {name: _one(read, name, container="web") for name in expected} == pytest.approx(expected)
    for direction, value in (("receive", 100), ("transmit", 200)):
        assert _one(read, "cpp_network_io_bytes_per_second", direction=direction) == value
    for direction, value in (("read", 10), ("write", 20)):
        assert _one(read, "cpp_disk_io_bytes_per_second", direction=direction) == value
    calls = {"call00": 1, "call01": 2, "call02": 3, "other": 0}
    assert {call: _one(read, "cpp_syscalls_per_second", syscall=call) for call in calls} == calls
    assert _one(read, "cpp_connections_per_second", protocol="dns") == 10
    assert _one(read, "cpp_node_cpu_capacity_cores", node="n1") == 4
    assert _one(read, "cpp_container_info", workload="web", image="shop:1", runtime="docker") == 1


def test_the_page_says_how_the_exporter_and_its_sources_do(full_state: FullState) -> None:
    read = _read(_of_catalogue(full_state()[0].publisher.page))
    assert _one(read, "cpp_up", source="cadvisor") == 1
    assert _one(read, "cpp_last_sample_timestamp_seconds", source="probe") == 1_800_000_045
    assert _one(read, "cpp_source_errors_total", source="probe") == 2
    assert _one(read, "cpp_containers") == 2
    assert _one(read, "cpp_series") == sum("container" in dict(key) for _, key in read)
    assert _one(read, "cpp_cycle_duration_seconds") > 0


def test_every_series_about_a_container_carries_the_whole_identity(full_state: FullState) -> None:
    cycle, _ = full_state()
    for name, labels in _read(_of_catalogue(cycle.publisher.page)):
        metric = BY_NAME[name]
        assert {key for key, _ in labels} == set(metric.labels)


def test_labels_are_escaped_whatever_a_container_is_called(full_state: FullState) -> None:
    _, state = full_state(("web",))
    name = 'a"b\\c\nd} 1'
    who = dataclasses.replace(state.snapshot.identities[0], container=name)
    page = Page([identity_labels("n1", who)])
    page.add(Series("cpp_threads", np.array([3.0])))
    assert _one(_read(gzip.decompress(page.packed())), "cpp_threads", container=name) == 3


def _with_everything(state: State) -> State:
    """Return ``state`` with forecasts and scores everywhere; a culprit has one name for what it does to its victims."""
    count, horizons = len(state.snapshot.lives), 3
    caused = np.zeros((count, len(INTERFERENCE), TOP_VICTIMS), np.float32)
    caused[:, 0] = 0.5
    scores = dataclasses.replace(
        state.scores,
        suffered=np.full((count, len(INTERFERENCE)), 0.4, np.float32),
        caused=caused,
        victims=np.broadcast_to(np.arange(TOP_VICTIMS), (count, len(INTERFERENCE), TOP_VICTIMS)),
        exhaustion_seconds=np.full(count, 60.0, np.float32),
    )
    shape = (count, len(RESOURCES), horizons)
    return dataclasses.replace(
        state,
        scores=scores,
        quantiles=np.ones((*shape, len(LEVELS)), np.float32),
        due=np.ones(shape, np.float32),
        trusted=np.ones(shape[:2], np.bool_),
    )


def _rendered(state: State) -> tuple[Read, int]:
    page = Page([identity_labels("n1", who) for who in state.snapshot.identities])
    dropped = add_containers(page, state, ForecastConfig())
    return _read(gzip.decompress(page.packed())), dropped


def test_with_everything_present_no_container_has_more_than_its_budget_and_what_was_left_out_is_counted(
    full_state: FullState,
) -> None:
    _, state = full_state(("web", "db", "log", "job"), calls=40)
    read, dropped = _rendered(_with_everything(state))
    counts = Counter(dict(key)["container"] for _, key in read)
    assert set(counts.values()) == {MAX_SERIES}
    assert dropped == 4 * (20 + 10 - 6)
    assert len(_of(read, "cpp_interference_caused_ratio", container="web")) == 3
    assert len(_of(read, "cpp_cpu_forecast_cores", container="web")) == 9


@pytest.mark.parametrize("calls", [3, 40])
def test_calls_and_connections_sum_to_the_truth_whatever_is_left_out(full_state: FullState, calls: int) -> None:
    _, state = full_state(("web", "db", "log"), calls=calls)
    for each in (state, _with_everything(state)):
        read, _ = _rendered(each)
        assert sum(_of(read, "cpp_syscalls_per_second", container="web").values()) == calls * (calls + 1) / 2
        assert sum(_of(read, "cpp_connections_per_second", container="web").values()) == 55 + 11


def test_the_calls_kept_are_the_most_frequent(full_state: FullState) -> None:
    _, state = full_state(("web",), calls=40)
    read, dropped = _rendered(state)
    kept = {dict(key)["syscall"] for key in _of(read, "cpp_syscalls_per_second")}
    assert kept == {"other"} | {f"call{number}" for number in range(20, 40)}
    assert dropped == 0


def test_protocols_never_spoken_take_no_series(full_state: FullState) -> None:
    _, state = full_state(("web",))
    connections = state.snapshot.connections
    used = connections.used & (np.array(connections.names) == "mysql")
    held = np.where(used, connections.held, 0.0)
    silent = dataclasses.replace(connections, used=used, held=held)
    read, _ = _rendered(dataclasses.replace(state, snapshot=dataclasses.replace(state.snapshot, connections=silent)))
    found = {dict(key)["protocol"]: value for key, value in _of(read, "cpp_connections_per_second").items()}
    assert found == {"mysql": 2, "other": 0}


def test_what_was_left_out_is_a_counter(full_state: FullState) -> None:
    cycle, state = full_state(("web", "db", "log"), calls=40)
    full = _with_everything(state)
    for times in (1, 2):
        cycle.publisher.publish(full, 0.0, 0.0)
        dropped = _one(_read(_of_catalogue(cycle.publisher.page)), "cpp_dropped_series_total", source="probe")
        assert dropped == times * 3 * 24


def test_nothing_is_said_of_what_is_unknown(full_state: FullState) -> None:
    cycle, _ = full_state(("web",))
    read = _read(_of_catalogue(cycle.publisher.page))
    for name in ("cpp_cpu_forecast_cores", "cpp_memory_exhaustion_seconds", "cpp_cpu_request_cores"):
        assert not _of(read, name)
    assert not any(math.isnan(value) for value in read.values())


def test_every_threshold_is_served_as_configured(full_state: FullState) -> None:
    cycle, _ = full_state(assess={"thresholds": {"anomaly": 0.7}})
    found = {
        dict(key)["score"]: value
        for key, value in _of(_read(_of_catalogue(cycle.publisher.page)), "cpp_alarm_threshold_ratio").items()
    }
    assert found == Config().assess.thresholds.model_dump() | {"anomaly": 0.7}
