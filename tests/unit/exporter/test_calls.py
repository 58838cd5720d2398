from collections.abc import Callable

import numpy as np
import pytest

from exporter.history.calls import Followed, Labelled
from exporter.history.identity import Identity, identify
from exporter.history.registry import Registry
from exporter.sources.exposition import Family, Samples
from exporter.sources.families import SYSCALLS

START = 1_800_000_000.0


def _follow(followed: Followed, *rates: float) -> list[int]:
    slots: list[int] = followed.update(np.array([rates])).calls[0].tolist()
    return slots


def test_the_most_frequent_calls_are_followed_and_those_never_made_are_not() -> None:
    assert _follow(Followed(3), 5.0, 0.0, 9.0, np.nan, 1.0, 7.0) == [2, 5, 0]
    assert _follow(Followed(3), 5.0, 0.0, 9.0) == [2, 0, -1]


def test_slots_stay_while_their_calls_fluctuate() -> None:
    followed = Followed(2)
    first = _follow(followed, 10.0, 9.0, 8.0)
    for rates in ((1.0, 9.0, 12.0), (0.0, 30.0, 15.0), (10.0, 9.0, 12.0), (9.0, 9.0, 9.0)):
        assert _follow(followed, *rates) == first


def test_a_call_that_is_clearly_more_frequent_takes_the_rarest_ones_slot_and_is_marked() -> None:
    followed = Followed(2)
    assert _follow(followed, 10.0, 4.0, 1.0) == [0, 1]
    found = followed.update(np.array([[10.0, 4.0, 40.0]]))
    assert found.calls.tolist() == [[0, 2]]
    assert found.replaced.tolist() == [[False, True]]
    assert followed.update(np.array([[10.0, 4.0, 40.0]])).replaced.tolist() == [[False, False]]


def test_no_call_is_followed_twice() -> None:
    random = np.random.default_rng(1)
    followed = Followed(5)
    for _ in range(40):
        for row in followed.update(random.exponential(10, (3, 12))).calls.tolist():
            assert len(set(row)) == 5


def test_before_any_call_is_seen_all_slots_are_free() -> None:
    found = Followed(4).update(np.empty((2, 0)))
    assert found.calls.tolist() == [[-1] * 4] * 2
    assert not found.replaced.any()


def test_a_removed_rows_slots_go_to_its_successor_and_a_newcomer_begins_anew() -> None:
    followed = Followed(1)
    followed.update(np.array([[5.0, 0.0], [0.0, 5.0]]))
    followed.remove(0, 1)
    assert followed.update(np.array([[0.0, 5.0], [7.0, 0.0]])).calls.tolist() == [[1], [0]]


@pytest.fixture
def registry(container_id: Callable[[str], str]) -> Registry:
    rows = Registry(5)
    for name in ("web", "db"):
        rows.admit(Identity(key=container_id(name), container=name), START)
    return rows


def _family(samples: Samples) -> Family:
    return samples[SYSCALLS]


def test_calls_become_columns_as_they_appear_and_keep_their_place(
    probe: Callable[..., Samples], registry: Registry
) -> None:
    labelled = Labelled("syscall", 45.0, identify)
    labelled.update(_family(probe(START, {"web": {SYSCALLS: {"read": 0}}})), registry, START)
    later = START + 10
    samples = probe(later, {"db": {SYSCALLS: {"write": 5}}, "web": {SYSCALLS: {"read": 20, "open": 1}}})
    rates = labelled.update(_family(samples), registry, later)
    assert rates.names == ("read", "write", "open")
    assert rates.held[1, 0] == 2.0
    assert np.isnan(rates.held[2]).all()


def test_containers_without_a_row_are_passed_over(probe: Callable[..., Samples], registry: Registry) -> None:
    labelled = Labelled("syscall", 45.0, identify)
    for at in (START, START + 10):
        samples = probe(at, {"stranger": {SYSCALLS: {"read": at}}, "web": {SYSCALLS: {"read": at}}})
        rates = labelled.update(_family(samples), registry, at)
    assert rates.held.shape == (3, 1)
    assert rates.held[1, 0] == 1.0


def test_a_label_counts_as_used_once_its_counter_left_zero(probe: Callable[..., Samples], registry: Registry) -> None:
    labelled = Labelled("syscall", 45.0, identify)
    for at, writes in ((START, 0), (START + 10, 5), (START + 20, 5)):
        samples = probe(at, {"web": {SYSCALLS: {"read": 0, "write": writes}}})
        rates = labelled.update(_family(samples), registry, at)
    assert rates.used[1].tolist() == [False, True]
    assert rates.held[1].tolist() == [0.0, 0.0]


def test_the_first_call_of_a_kind_counts_on_a_container_known_before(
    probe: Callable[..., Samples], registry: Registry
) -> None:
    labelled = Labelled("syscall", 45.0, identify)
    labelled.update(_family(probe(START, {"web": {SYSCALLS: {"read": 7}}})), registry, START)
    later = START + 10
    rates = labelled.update(_family(probe(later, {"web": {SYSCALLS: {"read": 7, "ptrace": 1}}})), registry, later)
    assert rates.held[1].tolist() == [0.0, 0.1]
