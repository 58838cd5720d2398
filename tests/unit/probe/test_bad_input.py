import logging
import time
import tracemalloc
from pathlib import Path

import pytest

from exporter.probe.cgroups import Hierarchy
from exporter.probe.pairs import Pairs
from exporter.probe.probe import Probe
from exporter.probe.stream import Print
from exporter.probe.tally import Tally

CONTAINERS, CALLS = 1000, 30
STRANGER = "999999999"


@pytest.fixture
def probe(hierarchy: Hierarchy) -> Probe:
    return Probe(hierarchy, Tally(), Pairs(), clock=lambda: 12.0, patience=60.0)


def counts(key: object, value: int = 1) -> dict[str, dict[str, int]]:
    return {"created": {str(key): value}}


def test_the_probe_is_up_only_when_it_has_seen_a_cgroup_that_is_mounted_here(
    probe: Probe, hybrid: Path, container_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for second in range(8):
            probe.take(Print(float(second), counts(STRANGER)))
    assert not probe.snapshot()[1].up
    assert [record.message.endswith("by --cgroup.root") for record in caplog.records] == [True]
    probe.take(Print(9.0, counts((hybrid / "unified/docker" / container_id).stat().st_ino)))
    assert probe.snapshot()[1].up


def test_on_a_machine_without_containers_the_programs_own_cgroup_is_proof(probe: Probe, hierarchy: Hierarchy) -> None:
    probe.take(Print(10.0, counts(hierarchy.own())))
    assert probe.snapshot()[1].up


def test_after_a_restart_the_proof_is_asked_for_again(probe: Probe, hierarchy: Hierarchy) -> None:
    probe.take(Print(10.0, counts(hierarchy.own())))
    probe.ended()
    probe.take(Print(11.0, counts(STRANGER)))
    assert not probe.snapshot()[1].up
    probe.take(Print(12.0, counts(hierarchy.own())))
    assert probe.snapshot()[1].up


def test_a_cgroup_that_gets_another_container_counts_for_that_one_from_then_on() -> None:
    tally = Tally()
    tally.add(Print(0.0, counts(7, 9)), {7: "/docker/a"})
    tally.keep({"/docker/b"})
    tally.add(Print(1.0, counts(7, 12)), {7: "/docker/b"})
    assert tally.counts("/docker/a") == {}
    assert tally.counts("/docker/b") == {("created", 0): 3}


def test_a_thousand_containers_come_and_go_in_bounded_memory_and_time() -> None:
    tally = Tally()
    tracemalloc.start()
    sizes, began = [], time.process_time()
    for second in range(12):
        first = second * CONTAINERS
        owners = {first + number: f"/docker/{first + number}" for number in range(CONTAINERS)}
        values = {f"{cgroup},{call}": second + 1 for cgroup in owners for call in range(CALLS)}
        tally.keep(set(owners.values()))
        tally.add(Print(float(second), {"calls": values}), owners)
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert time.process_time() - began < 20
    assert sizes[-1] < 1.1 * sizes[2]
