import time

import pytest

from exporter.config import Config
from exporter.history.identity import identify
from exporter.history.pairs import CALLS, MOST_OF_ONE, PairIntake
from exporter.history.registry import Registry
from exporter.history.store import History
from exporter.history.windows import Pairs
from exporter.sources.families import PAIRS, SYSCALLS
from exporter.sources.replay import Row, steps

START = 1_800_000_000.0
COLUMNS = {"read": 0, "write": 1, "openat": 2}
WEB, DB = "a" * 64, "b" * 64
Counts = dict[tuple[str, str, str], float]


def _text(counts: Counts, at: float) -> bytes:
    lines = ["# TYPE container_syscall_pairs_total counter"] if counts else []
    for (who, one, two), count in counts.items():
        labels = f'id="/docker/{who}",from="{one}",to="{two}"'
        lines.append(f"container_syscall_pairs_total{{{labels}}} {count:.0f} {at * 1000:.0f}")
    return "\n".join(lines).encode()


class Node:
    """A registry of containers, and the intake of their pairs."""

    def __init__(self, *ids: str) -> None:
        self.registry = Registry(600)
        self.intake = PairIntake()
        for container in ids:
            identity = identify({"id": f"/docker/{container}"})
            assert identity is not None
            self.registry.admit(identity, START)

    def read(self, counts: Counts, at: float) -> Pairs:
        return self.intake.update(_text(counts, START + at), COLUMNS, self.registry, START + at)


def _made(pairs: Pairs) -> dict[tuple[int, int, int], float]:
    named = zip(pairs.rows.tolist(), pairs.codes.tolist(), pairs.counts.tolist(), strict=True)
    return {(row, code // CALLS, code % CALLS): count for row, code, count in named}


@pytest.fixture
def node() -> Node:
    return Node(WEB, DB)


def test_what_was_made_between_two_readings_is_told_by_container(node: Node) -> None:
    first = node.read({(WEB, "read", "write"): 160, (DB, "openat", "read"): 16}, 0)
    assert (_made(first), first.seconds) == ({}, 0.0)
    second = node.read({(WEB, "read", "write"): 480, (WEB, "write", "read"): 32, (DB, "openat", "read"): 16}, 60)
    assert _made(second) == {(0, 0, 1): 320.0, (0, 1, 0): 32.0}
    assert second.seconds == 60


def test_between_readings_the_last_one_stays_until_it_is_stale(node: Node) -> None:
    for at in (0, 60):
        node.read({(WEB, "read", "write"): 100.0 * at, (WEB, "write", "read"): 1}, at)
    again = node.read({}, 75)
    assert (_made(again), again.seconds) == ({(0, 0, 1): 6000.0}, 0.0)
    assert node.read({(WEB, "read", "write"): 6000, (WEB, "write", "read"): 1}, 60).seconds == 0
    assert _made(node.read({}, 700)) == {}


def test_a_counter_that_began_anew_has_counted_since(node: Node) -> None:
    node.read({(WEB, "read", "write"): 4800}, 0)
    assert _made(node.read({(WEB, "read", "write"): 160}, 60)) == {(0, 0, 1): 160.0}


def test_a_container_read_for_the_first_time_says_nothing_and_one_that_ended_neither() -> None:
    node = Node(WEB)
    node.read({(WEB, "read", "write"): 16}, 0)
    identity = identify({"id": f"/docker/{DB}"})
    assert identity is not None
    node.registry.admit(identity, START)
    told = node.read({(WEB, "read", "write"): 32, (DB, "read", "write"): 999}, 60)
    assert _made(told) == {(0, 0, 1): 16.0}
    node.registry.remove(1)
    assert _made(node.read({}, 75)) == {}
    assert _made(node.read({(DB, "read", "write"): 1016}, 120)) == {(0, 0, 1): 17.0}


def test_what_is_no_pair_of_known_calls_is_left_out(node: Node) -> None:
    odd: Counts = {
        (WEB, "other", "other"): 1,
        (WEB, "read", "bpf"): 1,
        (WEB, "read", "write"): 1,
        ("?", "read", "read"): 1,
    }
    node.read(odd, 0)
    told = node.read({key: 10 * count for key, count in odd.items()}, 60)
    assert _made(told) == {(0, 0, 1): 9.0}


def test_a_clock_set_back_begins_anew(node: Node) -> None:
    node.read({(WEB, "read", "write"): 16}, 3600)
    assert node.read({(WEB, "read", "write"): 32}, 0).seconds == 0
    assert node.read({(WEB, "read", "write"): 48}, 60).seconds == 60


def test_of_ten_thousand_pairs_the_most_frequent_are_looked_at_and_soon() -> None:
    node, names = Node(WEB), [f"call_{number}" for number in range(100)]
    columns = {name: column for column, name in enumerate(names)}
    made = [(WEB, one, two) for one in names for two in names]
    texts = [_text({pair: n * (1 + r) for n, pair in enumerate(made)}, START + 60 * r) for r in range(2)]
    began = time.process_time()
    for text in texts:
        pairs = node.intake.update(text, columns, node.registry, START)
    assert time.process_time() - began < 0.5
    assert len(pairs.codes) == MOST_OF_ONE
    assert pairs.counts.min() == 10_000 - MOST_OF_ONE


def test_pairs_of_a_recording_reach_the_scores() -> None:
    rows = [
        Row(second, who, metric, label, value)
        for second in range(4)
        for who in ("web", "db")
        for metric, label, value in (
            (SYSCALLS, "read", 100.0 * second),
            (SYSCALLS, "write", 50.0 * second),
            (PAIRS, "read,write", 32.0 * second * (who == "web")),
            (PAIRS, "write,write", 16.0),
        )
    ]
    history = History(Config(interval=1.0))
    for now, samples in steps(rows, 1.0):
        window = history.window(history.update(samples, samples, now))
    web = [who.container for who in history.registry.identities[1:]].index("web")
    columns = [window.syscall_names.index(name) for name in ("read", "write")]
    assert _made(window.pairs) == {(web, *columns): 32.0}
    assert window.pairs.seconds == 1
