import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.probe.__main__ import main
from exporter.probe.cgroups import Hierarchy
from exporter.probe.loop import parse_interval
from exporter.probe.pairs import Pairs
from exporter.probe.probe import Probe
from exporter.probe.stream import Lost, Paired, Print
from exporter.probe.tally import Tally


@pytest.fixture
def probe(hierarchy: Hierarchy) -> Probe:
    return Probe(hierarchy, Tally(), Pairs(), clock=lambda: 50.0, patience=60.0)


def inode(hybrid: Path, container_id: str) -> int:
    return (hybrid / "unified/docker" / container_id).stat().st_ino


def test_counts_of_a_container_that_is_new_are_not_missed(probe: Probe, hybrid: Path, container_id: str) -> None:
    probe.take(Print(10.0, {"created": {"1": 9}}))
    probe.take(Print(11.0, {"created": {"1": 9, str(inode(hybrid, container_id)): 4}}))
    (state,), health = probe.snapshot()
    assert (state.path, state.counts, state.read_at) == (f"/docker/{container_id}", {("created", 0): 4}, 50.0)
    assert (health.up, health.printed_at) == (True, 11.0)


def test_a_container_that_went_away_leaves_nothing(probe: Probe, hybrid: Path, container_id: str) -> None:
    probe.take(Print(10.0, {"created": {str(inode(hybrid, container_id)): 4}}))
    directory = hybrid / "unified/docker" / container_id
    (directory / "cpu.pressure").unlink()
    directory.rmdir()
    assert probe.snapshot()[0] == []


def test_while_the_program_is_away_the_counts_stay_and_the_probe_is_not_up(
    probe: Probe, hybrid: Path, container_id: str
) -> None:
    key = str(inode(hybrid, container_id))
    probe.take(Print(10.0, {"created": {key: 4}}))
    probe.ended()
    (state,), health = probe.snapshot()
    assert (state.counts, health.up, health.printed_at, health.restarts) == ({("created", 0): 4}, False, 10.0, 1)
    probe.take(Print(20.0, {"created": {key: 1}}))
    (state,), health = probe.snapshot()
    assert (state.counts, health.up) == ({("created", 0): 5}, True)


def test_a_program_that_lives_but_prints_no_more_is_not_up(hierarchy: Hierarchy) -> None:
    now = [10.0]
    probe = Probe(hierarchy, Tally(), Pairs(), clock=lambda: now[0], patience=10.0)
    probe.take(Print(10.0, {"created": {str(hierarchy.own()): 1}}))
    now[0] = 19.9
    assert probe.snapshot()[1].up
    now[0] = 20.1
    assert not probe.snapshot()[1].up


def test_cgroups_of_the_host_are_left_out_once_counts_are_proven_and_told_once(
    probe: Probe, hybrid: Path, container_id: str
) -> None:
    key = inode(hybrid, container_id)
    probe.take(Print(10.0, {"created": {"1": 9}}))
    assert probe.leave_out() == []
    probe.take(Print(11.0, {"created": {"1": 9, str(key): 4}}))
    assert probe.leave_out() == [1]
    probe.take(Print(12.0, {"created": {"2": 9, str(key): 4}}))
    assert probe.leave_out() == [2]
    assert probe.leave_out() == []
    probe.ended()
    assert probe.leave_out() == []
    probe.take(Print(13.0, {"created": {str(key): 1}}))
    assert probe.leave_out() == [1, 2]


def test_a_container_that_was_left_out_since_its_cgroup_could_not_be_seen_is_counted_again(
    probe: Probe, hybrid: Path, container_id: str
) -> None:
    hidden = hybrid / "unified/elsewhere"
    shown = (hybrid / "unified/docker" / container_id).rename(hidden)
    key = shown.stat().st_ino
    probe.take(Print(10.0, {"created": {"1": 9, "2": 9, str(key): 4, str(probe._own): 1}}))
    assert {1, 2, key} <= set(probe.leave_out())
    hidden.rename(hybrid / "unified/docker" / container_id)
    assert len(probe.snapshot()[0]) == 1
    told = probe.leave_out()
    assert told[0] == 0
    assert {1, 2} <= set(told)
    assert key not in told


def test_a_cgroup_that_is_not_remembered_any_more_is_left_out_no_longer(
    probe: Probe, hybrid: Path, container_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.probe.probe._MOST_STRANGERS", 2)
    key = str(inode(hybrid, container_id))
    probe.take(Print(10.0, {"created": {"1": 9, "2": 9, key: 4}}))
    assert probe.leave_out() == [1, 2]
    probe.take(Print(11.0, {"created": {"3": 9, key: 4}}))
    assert probe.leave_out() == [0, 3]


def test_lost_events_add_up(probe: Probe) -> None:
    probe.take(Lost(3))
    probe.take(Lost(4))
    assert probe.snapshot()[1].lost_events == 7


def test_pairs_are_those_of_the_containers_that_are_there(probe: Probe, hybrid: Path, container_id: str) -> None:
    key = inode(hybrid, container_id)
    probe.take(Print(10.0, {"created": {str(key): 4}}))
    probe.take(Paired(10.5, {f"{key},513": 2, "1,513": 9}))
    (state,), health = probe.snapshot()
    assert (state.pairs, health.paired_at) == ({513: 2}, 10.5)


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1.0), ("500ms", 0.5), ("2.5s", 2.5), ("60s", 60.0)])
def test_an_interval_reads_like_a_duration(text: str, seconds: float) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["1", "10ms", "61s", "0s", "-1s", "1m", ""])
def test_an_interval_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([f"--interval={text}"])


def started(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter.probe", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def test_without_cgroup2_the_probe_says_so_in_the_format_asked_for_and_does_not_start(tmp_path: Path) -> None:
    done = started(f"--cgroup.root={tmp_path}", "--log.format=json")
    entry = json.loads(done.stderr)
    assert (done.returncode, entry["level"]) == (1, "error")
    assert "--cgroup.root" in entry["event"]


def test_a_port_that_is_taken_is_named_with_the_flag_that_moves_it(hybrid: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = started(f"--cgroup.root={hybrid}", f"--web.listen-address=127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--web.listen-address" in done.stderr
