from hypothesis import given
from hypothesis import strategies as st

from exporter.probe.stream import Print
from exporter.probe.tally import Tally

A, B = "/docker/a", "/docker/b"


def calls(values: dict[str, int], *, cleared: bool = False) -> Print:
    return Print(0.0, {"calls": values}, cleared)


def test_what_grows_in_the_kernel_grows_here() -> None:
    tally = Tally()
    tally.add(calls({"7,39": 5}), {7: A})
    tally.add(calls({"7,39": 8, "7,0": 1}), {7: A})
    assert tally.counts(A) == {("calls", 39): 8, ("calls", 0): 1}


def test_counts_go_on_over_a_restart_of_the_program() -> None:
    tally = Tally()
    tally.add(calls({"7,39": 5}), {7: A})
    tally.restart()
    tally.add(calls({"7,39": 2}), {7: A})
    assert tally.counts(A) == {("calls", 39): 7}


def test_counts_go_on_over_a_clearing() -> None:
    tally = Tally()
    tally.add(calls({"7,39": 5}, cleared=True), {7: A})
    tally.add(calls({"7,39": 2}), {7: A})
    assert tally.counts(A) == {("calls", 39): 7}


def test_a_count_that_falls_without_reason_adds_nothing() -> None:
    tally = Tally()
    tally.add(calls({"7,39": 5}), {7: A})
    tally.add(calls({"7,39": 3}), {7: A})
    assert tally.counts(A) == {("calls", 39): 5}


def test_cgroups_of_one_container_are_added_up_and_outlived() -> None:
    tally = Tally()
    tally.add(calls({"7,39": 5, "8,39": 10}), {7: A, 8: A})
    tally.add(calls({"7,39": 6, "8,39": 10}), {7: A})
    assert tally.counts(A) == {("calls", 39): 16}


def test_the_host_and_other_containers_are_kept_apart() -> None:
    tally = Tally()
    tally.add(calls({"1,39": 100, "7,39": 5, "9,39": 1}), {7: A, 9: B})
    assert (tally.counts(A), tally.counts(B)) == ({("calls", 39): 5}, {("calls", 39): 1})


def test_a_container_that_is_gone_is_forgotten() -> None:
    tally = Tally()
    tally.add(calls({"7,39": 5}), {7: A})
    tally.keep({B})
    assert tally.counts(A) == {}


def test_bytes_of_all_devices_are_one_count() -> None:
    tally = Tally()
    tally.add(Print(0.0, {"written": {"7,999": 8, "7,1000": 16}}), {7: A})
    assert tally.counts(A) == {("written", 0): 24}


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["goes on", "cleared", "restarted"])), max_size=30))
def test_the_sum_is_what_happened_whatever_happens_to_the_program(steps: list[tuple[int, str]]) -> None:
    tally, kernel, happened, last = Tally(), 0, 0, 0
    for gained, fate in steps:
        kernel, happened = kernel + gained, happened + gained
        tally.add(calls({"7,39": kernel} if kernel else {}, cleared=fate == "cleared"), {7: A})
        if fate == "restarted":
            tally.restart()
        if fate != "goes on":
            kernel = 0
        now = tally.counts(A).get(("calls", 39), 0)
        assert now == happened >= last
        last = now
