import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.history.identity import NODE, Identity
from exporter.history.registry import Registry

PATIENCE = 45.0


def _who(key: str, workload: str = "") -> Identity:
    return Identity(key=key, container=key, container_id=key, workload=workload or f"w-{key}")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sets(st.sampled_from("abcdefgh")), max_size=20))
def test_rows_stay_dense_and_lives_are_never_used_again_under_churn(cycles: list[set[str]]) -> None:
    registry, lives = Registry(100), dict[int, str]()
    for now, present in enumerate(cycles):
        for key in sorted(present):
            registry.admit(_who(key), now)
        listed = [row for key in present if (row := registry.row(key)) is not None]
        registry.note(listed, now, authoritative=True)
        for row in registry.gone(now, listed, PATIENCE):
            registry.remove(row)
        if present:
            assert {who.key for who in registry.identities} == present | {"/"}
        assert registry.identities[0] == NODE
        for row, (who, life) in enumerate(zip(registry.identities, registry.lives.tolist(), strict=True)):
            assert registry.row(who.key) == row
            assert lives.setdefault(life, who.key) == who.key


def test_a_container_that_comes_back_begins_a_new_life_of_the_same_workload() -> None:
    registry = Registry(10)
    row = registry.admit(_who("a", "shop/web"), 0.0)
    assert row is not None
    life, workload = registry.lives[row], registry.workloads[row]
    registry.remove(row)
    registry.admit(_who("b", "shop/db"), 1.0)
    again = registry.admit(_who("a", "shop/web"), 2.0)
    assert registry.lives[again] != life
    assert registry.workloads[again] == workload


def test_replicas_share_their_workloads_number_and_it_has_a_name() -> None:
    registry = Registry(10)
    rows = [registry.admit(_who(key, "shop/web"), 0.0) for key in "abc"]
    other = registry.admit(_who("d", "shop/db"), 0.0)
    numbers = registry.workloads
    assert len({int(numbers[row]) for row in rows}) == 1
    assert numbers[other] != numbers[rows[0]]
    assert registry.workload_names()[int(numbers[other])] == "shop/db"


def test_workloads_unseen_for_longest_are_forgotten_first_so_that_churn_is_bounded() -> None:
    registry = Registry(2)
    registry.admit(_who("steady"), 0.0)
    number = registry.workloads[1]
    for index in range(500):
        row = registry.admit(_who(f"job-{index}"), 0.0)
        assert registry.workloads[1] == number
        registry.remove(row or 0)
    assert len(registry.workload_names()) <= 20 * 3


def test_containers_beyond_the_room_are_refused_and_counted_and_get_in_when_there_is_room() -> None:
    registry = Registry(2)
    rows = [registry.admit(_who(key), 0.0) for key in "abc"]
    assert rows == [1, 2, None]
    assert registry.refused == 1
    registry.remove(1)
    assert registry.admit(_who("c"), 1.0) == 2
    assert registry.refused == 1


def test_an_identity_known_only_by_its_id_is_completed_once_its_name_is_known() -> None:
    registry = Registry(10)
    row = registry.admit(Identity(key="a", container_id="a"), 0.0)
    assert registry.admit(_who("a", "shop/web"), 1.0) == row
    assert registry.identities[row or 0].workload == "shop/web"
    registry.admit(Identity(key="a", container_id="a"), 2.0)
    assert registry.identities[row or 0].workload == "shop/web"
    assert registry.lives[row or 0] == 2


def test_an_empty_list_removes_nobody_before_the_patience_ends() -> None:
    registry = Registry(10)
    row = registry.admit(_who("a"), 0.0) or 0
    registry.note([row], 0.0, authoritative=True)
    assert registry.gone(PATIENCE / 2, [], PATIENCE) == []
    assert registry.gone(PATIENCE * 2, [], PATIENCE) == [row]


def test_who_is_no_longer_listed_by_the_authoritative_source_is_gone_at_once() -> None:
    registry = Registry(10)
    rows = [registry.admit(_who(key), 0.0) or 0 for key in "ab"]
    registry.note(rows, 0.0, authoritative=True)
    registry.note([rows[1]], 15.0, authoritative=False)
    assert registry.gone(15.0, [rows[0]], PATIENCE) == [rows[1]]


def test_nobody_is_gone_by_the_silence_of_a_source_that_could_not_be_read() -> None:
    registry = Registry(10)
    rows = [registry.admit(_who(key), 0.0) or 0 for key in "ab"]
    registry.note(rows, 0.0, authoritative=True)
    assert registry.gone(15.0, None, PATIENCE) == []
    registry.note([rows[0]], 60.0, authoritative=False)
    assert registry.gone(60.0, None, PATIENCE) == [rows[1]]


def test_who_only_the_other_source_lists_lives_until_it_falls_silent() -> None:
    registry = Registry(10)
    row = registry.admit(_who("a"), 0.0) or 0
    registry.note([row], 0.0, authoritative=False)
    assert registry.gone(30.0, [], PATIENCE) == []
    assert registry.gone(46.0, [], PATIENCE) == [row]


def test_the_node_itself_is_never_gone() -> None:
    assert Registry(1).gone(np.inf, [], 0.0) == []
