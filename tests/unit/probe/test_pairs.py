from hypothesis import given
from hypothesis import strategies as st

from exporter.probe.pairs import MOST_OF_ONE, MOST_TOGETHER, Pairs
from exporter.probe.stream import Paired

A, B = "/docker/a", "/docker/b"


def read(pairs: dict[str, int]) -> Paired:
    return Paired(1.0, pairs)


def test_pairs_of_a_container_add_up_over_its_cgroups_and_readings() -> None:
    pairs = Pairs()
    pairs.add(read({"7,513": 5, "8,513": 1, "1,513": 100}), {7: A, 8: A})
    pairs.add(read({"7,513": 2, "9,4": 1}), {7: A, 9: B})
    assert (pairs.counts(A), pairs.counts(B)) == ({513: 8}, {4: 1})


def test_of_ten_thousand_pairs_the_common_ones_stay_and_the_sum_is_kept() -> None:
    pairs = Pairs()
    pairs.add(read({f"7,{pair}": 9 if pair == 5000 else 1 for pair in range(10_000)}), {7: A})
    counts = pairs.counts(A)
    assert len(counts) <= MOST_OF_ONE
    assert (counts[5000], sum(counts.values())) == (9, 10_008)


def test_what_comes_all_the_time_finds_room_after_a_start_that_made_many_pairs() -> None:
    pairs = Pairs()
    pairs.add(read({f"7,{pair}": 2 for pair in range(MOST_OF_ONE)}), {7: A})
    for _ in range(3):
        pairs.add(read({"7,9999": 100}), {7: A})
    assert pairs.counts(A)[9999] == 300


def test_a_thousand_containers_of_many_pairs_are_bounded_together() -> None:
    pairs = Pairs()
    owners = {cgroup: f"/docker/{cgroup}" for cgroup in range(1000)}
    pairs.add(read({f"{cgroup},{pair}": 1 for cgroup in owners for pair in range(100)}), owners)
    assert sum(len(pairs.counts(path)) for path in owners.values()) <= MOST_TOGETHER
    assert sum(sum(pairs.counts(path).values()) for path in owners.values()) == 100_000


def test_a_container_that_is_gone_is_forgotten() -> None:
    pairs = Pairs()
    pairs.add(read({"7,513": 5}), {7: A})
    pairs.keep({B})
    assert pairs.counts(A) == {}


@given(st.lists(st.dictionaries(st.integers(0, 300), st.integers(1, 9)), max_size=8))
def test_no_pair_that_was_read_is_missing_from_the_sum(readings: list[dict[int, int]]) -> None:
    pairs = Pairs()
    for reading in readings:
        pairs.add(read({f"7,{pair}": count for pair, count in reading.items()}), {7: A})
    assert sum(pairs.counts(A).values()) == sum(sum(reading.values()) for reading in readings)
