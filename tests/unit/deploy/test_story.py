import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.demo.kernel import LimitFiles
from deploy.demo.ledger import Verdict
from deploy.demo.limits import Change, LimitWatch
from deploy.demo.report import table, write_report
from deploy.demo.story import Story, explain
from deploy.demo.workloads import BUSY, PERIOD, Rhythm

RHYTHM = Rhythm(origin=7.0)
QUIET = RHYTHM.origin + PERIOD * 100.8
RISEN = RHYTHM.origin + PERIOD * 100.1


def verdict(
    intent: str, container: str, resource: str, at: float, kind: str = "set_limit", state: str = "done"
) -> Verdict:
    steps = ((kind, state, 1.0, 2.0, at),)
    return Verdict(1, 0, container, intent, resource, "CppSome", "it was seen", "so we act", False, steps, at)


def change(container: str, resource: str, at: float, before: int = 1000, used: float = 10.0) -> Change:
    return Change(container, resource, f"/cgroup/{resource}", before, 2000, at, used)


@pytest.fixture
def complete() -> Story:
    story = Story(service="service", leak="leak", noise="noise", victim="victim", rhythm=RHYTHM)
    story.verdicts = [
        verdict("reserve", "service", "cpu", QUIET - 3, kind="reserve"),
        verdict("activate", "service", "cpu", QUIET),
        verdict("activate", "leak", "memory", QUIET),
        verdict("relieve", "noise", "cpu", QUIET),
    ]
    story.changes = [change("service", "cpu", QUIET), change("leak", "memory", QUIET), change("noise", "cpu", QUIET)]
    story.rises = [(RHYTHM.next_rise(QUIET), 0.0)]
    return story


def test_nothing_is_missing_when_every_story_was_seen(complete: Story) -> None:
    assert complete.missing() == []


def test_everything_is_missing_at_the_start() -> None:
    assert len(Story(service="service", leak="leak", noise="noise", victim="victim", rhythm=RHYTHM).missing()) == 3


def test_cpu_that_comes_while_the_demand_is_there_is_not_ahead_of_it(complete: Story) -> None:
    complete.changes[0] = change("service", "cpu", RISEN)
    complete.verdicts[1] = verdict("activate", "service", "cpu", RISEN)
    assert "before its demand rose" in complete.missing()[0]


def test_cpu_that_was_never_reserved_does_not_count(complete: Story) -> None:
    del complete.verdicts[0]
    assert "CPU reserved" in complete.missing()[0]


def test_the_service_story_waits_for_the_demand_to_come(complete: Story) -> None:
    complete.rises = [(QUIET - PERIOD, 0.9)]
    assert complete.missing() == ["the service's demand rising after its CPU was activated"]


def test_memory_that_comes_at_the_limit_is_too_late(complete: Story) -> None:
    complete.changes[1] = change("leak", "memory", QUIET, used=1000.0)
    assert "the leak called" in complete.missing()[0]


def test_a_changed_victim_spoils_the_story(complete: Story) -> None:
    complete.changes.append(change("victim", "cpu", QUIET))
    assert "the victim left alone" in complete.missing()[0]


def test_a_change_is_explained_by_a_step_done_at_its_time_on_its_container() -> None:
    seen = change("noise", "cpu", QUIET)
    right = verdict("relieve", "noise", "cpu", QUIET + 1)
    assert explain(seen, [right]) is right
    assert explain(seen, [replace(right, container="victim")]) is None
    assert explain(seen, [replace(right, resource="memory")]) is None
    assert explain(seen, [verdict("relieve", "noise", "cpu", QUIET + 60)]) is None
    assert explain(seen, [verdict("relieve", "noise", "cpu", QUIET, state="dry_run")]) is None


def test_the_report_holds_what_changed_and_no_reservation(complete: Story, tmp_path: Path) -> None:
    write_report(complete, tmp_path / "demo.json")
    actions = json.loads((tmp_path / "demo.json").read_text())["actions"]
    assert [entry["intent"] for entry in actions] == ["activate", "activate", "relieve"]
    keys = {"container", "intent", "resource", "alert", "reason", "kernel_file", "before", "after", "at"}
    assert set(actions[0]) == keys
    assert (actions[0]["before"], actions[0]["after"]) == (1000, 2000)


def test_the_table_shows_the_reservation_before_the_change(complete: Story) -> None:
    text = table(complete)
    assert text.index("reserve cpu") < text.index("activate cpu")
    assert "held in the ledger" in text


def test_the_watch_sees_a_change_once(tmp_path: Path) -> None:
    files = LimitFiles(tmp_path / "cpu.cfs_quota_us", tmp_path / "memory.limit_in_bytes")
    files.cpu.write_text("35000\n")
    files.memory.write_text("100\n")
    (tmp_path / "memory.usage_in_bytes").write_text("50\n")
    watch = LimitWatch({"service": files})
    assert watch.changes(1.0) == []
    files.cpu.write_text("70000\n")
    assert [(seen.before, seen.after) for seen in watch.changes(2.0)] == [(35000, 70000)]
    assert watch.changes(3.0) == []


def test_a_container_that_ended_does_not_end_the_watch(tmp_path: Path) -> None:
    gone = LimitFiles(tmp_path / "gone/cpu.max", tmp_path / "gone/memory.max")
    assert LimitWatch({"leak": gone}).changes(1.0) == []


def test_each_rise_is_known_from_the_start() -> None:
    assert RHYTHM.busy(RISEN)
    assert not RHYTHM.busy(RISEN + BUSY)
    assert RHYTHM.next_rise(RISEN) == RHYTHM.origin + PERIOD * 101
