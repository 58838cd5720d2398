from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exporter.config import Config
from exporter.history import index
from exporter.history.signals import COLUMN
from exporter.history.snapshot import Snapshot
from exporter.history.store import History
from exporter.sources.exposition import Family, Samples, parse_chunks, parse_labels
from exporter.sources.families import CADVISOR_WANTED

START = 1_800_000_000.0
CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
OOM, LIMIT = "container_oom_events_total", "container_spec_memory_limit_bytes"
CALLS, OPENS = "container_syscalls_total", "container_file_opens_total"
WRITTEN = "container_block_write_bytes_total"
PERF = "# TYPE container_perf_events_total counter"

Make = Callable[..., Samples]


@pytest.fixture
def history() -> History:
    return History(Config(interval=15, history={"window": "10m", "max_containers": 3}))


def _signal(snapshot: Snapshot, name: str, signal: str = "cpu") -> float:
    rows = [row for row, who in enumerate(snapshot.identities) if who.container == name]
    assert len(rows) == 1, f"{name} has {len(rows)} rows"
    return float(snapshot.signals[rows[0], COLUMN[signal]])


def _names(snapshot: Snapshot) -> list[str]:
    return sorted(who.container for who in snapshot.identities)


def test_rates_are_by_the_samples_own_time_and_not_by_arrival(history: History, cadvisor: Make) -> None:
    history.update(cadvisor(START - 9, {"web": {CPU: 10.0}}), None, START)
    snapshot = history.update(cadvisor(START + 1, {"web": {CPU: 15.0}}), None, START + 15)
    assert _signal(snapshot, "web") == 0.5


def test_a_repeated_sample_is_held_for_now_and_not_remembered_twice(history: History, cadvisor: Make) -> None:
    for ticks, value in ((0, 0.0), (1, 15.0)):
        history.update(cadvisor(START + 15 * ticks, {"web": {CPU: value}}), None, START + 15 * ticks)
    snapshot = history.update(cadvisor(START + 15, {"web": {CPU: 15.0}}), None, START + 30)
    assert _signal(snapshot, "web") == 1.0
    np.testing.assert_array_equal(history.window(snapshot).signals[0, COLUMN["cpu"], -3:], [np.nan, 1.0, np.nan])


def test_a_container_replaced_under_the_same_name_has_no_spike_and_no_negative_rate(
    history: History, cadvisor: Make
) -> None:
    seen = []
    for ticks in range(8):
        who, since = ("web", 0) if ticks < 4 else ("web#2", 4)
        now = START + 15 * ticks
        snapshot = history.update(cadvisor(now, {who: {CPU: 3.0 * (ticks - since)}}), None, now)
        seen.append(_signal(snapshot, "web"))
    assert np.isnan([seen[0], seen[4]]).all()
    assert [rate for rate in seen if not np.isnan(rate)] == [pytest.approx(0.2)] * 6


def test_a_container_restarted_with_its_id_has_no_spike_and_no_negative_rate(history: History, cadvisor: Make) -> None:
    seen = []
    for ticks, total in enumerate((900.0, 903.0, 906.0, 1.5, 4.5, 7.5)):
        now = START + 15 * ticks
        seen.append(_signal(history.update(cadvisor(now, {"web": {CPU: total}}), None, now), "web"))
    assert np.isnan([seen[0], seen[3]]).all()
    assert [rate for rate in seen if not np.isnan(rate)] == [pytest.approx(0.2)] * 4


def test_a_container_that_went_away_leaves_nothing_and_the_others_keep_their_past(
    history: History, cadvisor: Make
) -> None:
    for ticks in range(3):
        now = START + 15 * ticks
        both = {name: {CPU: 15.0 * ticks * speed} for name, speed in (("web", 1), ("db", 2), ("log", 3))}
        history.update(cadvisor(now, both), None, now)
    both.pop("web")
    snapshot = history.update(cadvisor(START + 45, {"db": {CPU: 90.0}, "log": {CPU: 135.0}}), None, START + 45)
    assert _names(snapshot) == ["db", "log"]
    past = history.window(snapshot).signals[:, COLUMN["cpu"], -3:]
    expected = [[2.0] * 3 if who.container == "db" else [3.0] * 3 for who in snapshot.identities]
    np.testing.assert_allclose(past, expected)
    assert history.grid().values.shape[0] == 3


def test_while_cadvisor_is_down_rows_live_on_by_the_probe_and_their_kernel_rates_too(
    history: History, cadvisor: Make, probe: Make
) -> None:
    def both(ticks: int) -> tuple[Samples, Samples, float]:
        now = START + 15 * ticks
        names = {"web": 1, "db": 2}
        return (
            cadvisor(now, {name: {CPU: 15.0 * ticks} for name in names}),
            probe(now, {name: {CALLS: {"read": 150.0 * ticks}, OPENS: 0} for name in names}),
            now,
        )

    for ticks in range(2):
        history.update(*both(ticks))
    for ticks in range(2, 30):
        _, kernel, now = both(ticks)
        snapshot = history.update(None, kernel, now)
    assert _names(snapshot) == ["db", "web"]
    assert _signal(snapshot, "web", "syscalls") == 10.0
    assert np.isnan(_signal(snapshot, "web"))
    snapshot = history.update(*both(30))
    snapshot = history.update(*both(31))
    assert _signal(snapshot, "web") == 1.0


def test_while_the_probe_is_down_cadvisors_signals_live_on(history: History, cadvisor: Make, probe: Make) -> None:
    history.update(cadvisor(START, {"web": {CPU: 0.0}}), probe(START, {"web": {CALLS: {"read": 0}}}), START)
    snapshot = history.update(cadvisor(START + 15, {"web": {CPU: 15.0}}), None, START + 15)
    assert _signal(snapshot, "web") == 1.0
    assert np.isnan(_signal(snapshot, "web", "syscalls"))


def test_hardware_counters_are_told_apart_by_event_and_added_up_over_cpus(history: History) -> None:
    for ticks in (0, 1):
        now = START + 15 * ticks
        series = (
            ("0", "instructions", 3e9),
            ("1", "instructions", 6e9),
            ("0", "cache-misses", 1.5e6),
            ("0", "branches", 1e9),
        )
        who = f'id="/docker/{64 * "a"}",name="web"'
        lines = [
            f'container_perf_events_total{{cpu="{cpu}",event="{event}",{who}}} {ticks * count}'
            for cpu, event, count in series
        ]
        snapshot = history.update(parse_chunks(["\n".join((PERF, *lines)).encode()], CADVISOR_WANTED), None, now)
    assert _signal(snapshot, "web", "instructions") == 6e8
    assert _signal(snapshot, "web", "cache_misses") == 1e5


def test_with_both_sources_down_all_rows_go_after_some_patience(history: History, cadvisor: Make) -> None:
    history.update(cadvisor(START, {"web": {CPU: 0.0}}), None, START)
    assert _names(history.update(None, None, START + 45)) == ["web"]
    assert _names(history.update(None, None, START + 60)) == []


def test_a_container_found_first_by_the_probe_gets_its_name_from_cadvisor_and_begins_a_life_under_it(
    history: History, cadvisor: Make, probe: Make
) -> None:
    before = history.update(None, probe(START, {"web": {OPENS: 0}}), START)
    now = START + 15
    after = history.update(cadvisor(now, {"web": {CPU: 0.0}}), probe(now, {"web": {OPENS: 30}}), now)
    assert [who.container for who in before.identities] == [""]
    assert [who.container for who in after.identities] == ["web"]
    assert before.lives.tolist() != after.lives.tolist()
    assert _signal(after, "web", "file_opens") == 2.0


def test_containers_beyond_the_room_are_left_out_and_counted(history: History, cadvisor: Make) -> None:
    snapshot = history.update(cadvisor(START, {name: {CPU: 0.0} for name in "abcde"}), None, START)
    assert len(snapshot.identities) == 3
    assert snapshot.dropped == 2


def test_disk_is_the_larger_of_both_sources(history: History, cadvisor: Make, probe: Make) -> None:
    for ticks in range(2):
        now = START + 15 * ticks
        silent = cadvisor(now, {"web": {CPU: 0.0, "container_fs_writes_bytes_total": 0.0}})
        snapshot = history.update(silent, probe(now, {"web": {WRITTEN: 1500.0 * ticks}}), now)
    assert _signal(snapshot, "web", "disk_write") == 100.0


def _oom(history: History, cadvisor: Make, *kills: float | None) -> list[float]:
    """Return the memory that the forecast sees at each step, for OOM counters given minute by minute."""
    for ticks, count in enumerate(kills):
        values: dict[str, Any] = {MEMORY: 50.0, LIMIT: 200.0, CPU: 0.0} | ({} if count is None else {OOM: count})
        for cycle in range(4):
            now = START + 60 * ticks + 15 * cycle
            history.update(cadvisor(now, {"web": values}), None, now)
    history.update(cadvisor(now + 15, {"web": values}), None, now + 15)
    steps: list[float] = history.grid().values[1, 1, -len(kills) :].tolist()
    return steps


@pytest.mark.parametrize(
    ("kills", "expected"),
    [
        ((0, 0, 1, 1), [50, 50, 240, 50]),
        ((3, 3, 3), [50, 50, 50]),
        ((1, 1, 0, 1), [50, 50, 50, 240]),
        ((0, None, 1), [50, 50, 240]),
    ],
    ids=["a kill", "kills before we came", "a kill after a restart", "a gap"],
)
def test_an_oom_kill_is_seen_once_by_the_forecast(
    history: History, cadvisor: Make, kills: tuple[float | None, ...], expected: list[float]
) -> None:
    assert _oom(history, cadvisor, *kills) == expected


def test_steps_of_the_forecast_end_with_the_clock_and_missed_ones_are_unknown(history: History, cadvisor: Make) -> None:
    for at in (0, 15, 30, 45, 60, 240, 300):
        history.update(cadvisor(START + at, {"web": {CPU: 2.0 * at}}), None, START + at)
    assert history.steps == 3
    assert history.grid().end == START + 300
    np.testing.assert_array_equal(np.isnan(history.grid().values[1, 0, -5:]), [False, False, True, True, False])


def test_a_followed_calls_past_is_by_call_and_not_by_slot(history: History, cadvisor: Make, probe: Make) -> None:
    small = History(Config(interval=15, max_syscalls=1, history={"window": "10m"}))
    totals = {"read": 0.0, "write": 0.0}
    for ticks in range(6):
        now = START + 15 * ticks
        totals["read"] += 15.0
        totals["write"] += 15.0 * (100 if ticks > 3 else 0)
        snapshot = small.update(cadvisor(now, {"web": {CPU: 0.0}}), probe(now, {"web": {CALLS: dict(totals)}}), now)
    assert snapshot.syscalls.names[snapshot.followed[0, 0]] == "write"
    np.testing.assert_array_equal(small.followed(0)[0, -3:], [np.nan, 100.0, 100.0])


def test_a_block_of_labels_that_cannot_be_read_costs_only_its_own_series(history: History, cadvisor: Make) -> None:
    samples = cadvisor(START, {"web": {CPU: 0.0}})
    family = samples[CPU]
    samples[CPU] = Family(
        [*family.keys, b"{id=oops}"], np.append(family.values, 1.0), np.append(family.timestamps, START)
    )
    assert [who.container for who in history.update(samples, None, START).identities] == ["web"]


def test_label_blocks_are_read_once_however_many_cycles_serve_them(
    history: History, cadvisor: Make, probe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def labels(block: bytes) -> dict[str, str]:
        read.append(block)
        return parse_labels(block)

    monkeypatch.setattr(index, "parse_labels", labels)
    for ticks in range(4):
        now = START + 15 * ticks
        calls = probe(now, {"web": {CALLS: {"read": 4.0 * ticks}, OPENS: ticks}})
        history.update(cadvisor(now, {"web": {CPU: 1.0 * ticks}}), calls, now)
    assert len(read) == 3
