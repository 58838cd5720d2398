"""Containers that do their worst: the parts stay small and tell of it, and a neighbour is counted as before."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.containers import docker

RATE = 200.0
MOST_PAIRS = 128
MOST_SERIES = 120
MOST_RESIDENT = 120 * 1024
"""KiB, of the probe and its child."""
CALLS = 110
"""Different calls that follow each other in every order: 12,100 pairs."""

Stack = Any
Labels = dict[str, str]


def samples(url: str, name: str, container: str) -> list[tuple[Labels, float]]:
    """Return what a part serves of one container under one name."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and container in (sample.labels.get("container_id") or sample.labels.get("id", ""))
    ]


def one(url: str, name: str, container: str = "", **labels: str) -> float:
    """Return a value, 0 where there is none."""
    found = [value for has, value in samples(url, name, container) if labels.items() <= has.items()]
    return found[0] if found else 0.0


@pytest.fixture
def neighbour(stack: Stack) -> str:
    container: str = stack.run_container("steady", "syscalls", "--call=getppid", f"--rate={RATE:.0f}")
    return container


@pytest.fixture(autouse=True)
def _neighbour_is_counted_and_the_parts_are_well(stack: Stack, neighbour: str) -> Iterator[None]:
    def steady() -> bool:
        rate = one(stack.exporter_url, "cpp_syscalls_per_second", neighbour, syscall="getppid")
        return abs(rate / RATE - 1) < 0.1

    stack.wait_for(steady, 30, "the neighbour's calls are counted")
    yield
    stack.wait_for(steady, 10, "the neighbour's calls are counted as before")
    assert one(stack.probe_url, "cpp_probe_up") == 1
    assert one(stack.probe_url, "cpp_probe_restarts_total") == 0
    assert one(stack.exporter_url, "cpp_up", source="probe") == 1
    assert resident(stack) < MOST_RESIDENT


def resident(stack: Stack) -> int:
    """Return the KiB of the probe and its child."""
    probe = next(child for child in stack.parts._children if child.name == "probe").pid
    children = Path(f"/proc/{probe}/task/{probe}/children").read_text().split()
    status = [Path(f"/proc/{pid}/status").read_text() for pid in (probe, *children)]
    return sum(int(found) for text in status for found in re.findall(r"VmRSS:\s+(\d+)", text))


def test_a_fork_bomb_is_seen_and_its_tasks_are_accounted_for(stack: Stack) -> None:
    # The bomb's own processes fall when they find no room for a thread: the container's first one is another.
    bomb = stack.run_container("bomb", "sleep", options=("--pids-limit=80", "--cpus=0.5"))
    docker("exec", "--detach", bomb, "/workload", "forks", "--for=20s")
    rates = ("cpp_thread_creations_per_second", "cpp_thread_exits_per_second")
    stack.wait_for(lambda: all(one(stack.exporter_url, r, bomb) > 20 for r in rates), 20, "the bomb is seen")
    assert one(stack.exporter_url, "cpp_threads", bomb) <= 80

    def over() -> bool:
        return all(one(stack.exporter_url, r, bomb) == 0 for r in rates)

    stack.wait_for(over, 40, "the bomb is over")
    created, ended = (one(stack.probe_url, f"container_thread_{what}_total", bomb) for what in ("creations", "exits"))
    tasks = next(Path("/sys/fs/cgroup").glob(f"**/*{bomb}*/cgroup.threads")).read_text().split()
    assert created > 200
    # Threads of the engine's own that began the bomb were created outside the container, and ended in it.
    assert 0 <= len(tasks) - (created - ended) < 20
    assert one(stack.probe_url, "cpp_probe_lost_events_total") == 0


def test_of_ten_thousand_pairs_of_calls_the_common_ones_are_told_apart_and_the_sum_is_kept(
    stack: Stack, neighbour: str
) -> None:
    # Docker's own filter refuses calls that it does not know before the kernel's first tracepoint.
    options = ("--cpus=0.2", "--security-opt=seccomp=unconfined")
    wild = stack.run_container("wild", "pairs", f"--n={CALLS}", "--for=10s", options=options)
    name = "container_syscall_pairs_total"

    stack.wait_for(lambda: docker("logs", wild), 30, "all pairs were made, many times")
    time.sleep(6)  # pairs are read more rarely than calls
    calls = sum(value for _, value in samples(stack.probe_url, "container_syscalls_total", wild))
    pairs = samples(stack.probe_url, name, wild)
    assert calls > 10 * CALLS**2
    assert len(pairs) <= MOST_PAIRS
    assert sum(value for _, value in pairs) == pytest.approx(calls, rel=0.1)
    assert one(stack.probe_url, name, neighbour, **{"from": "getppid", "to": "getppid"}) > 0
    text = requests.get(f"{stack.exporter_url}/metrics", timeout=10).text
    assert len(re.findall(rf'container_id="{wild}"', text)) <= MOST_SERIES
