import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.forecast.recordings import clusters, lay_out, make, read_samples
from exporter.sources.files import RecordingError

DAY = 86_400
ANY_TIME = st.one_of(
    st.integers(0, 3600),
    st.integers(1_600_000_000, 1_600_100_000),
    st.floats(width=64),
    st.sampled_from([-1, -(10**18), 10**12, 10**18, 2**63 - 1]),
)
ANY_VALUE = st.one_of(st.floats(width=64), st.sampled_from([1e18, -1e18, 1e38, 1e308, 0.0, -0.0, float("nan")]))
SAMPLES = st.lists(st.tuples(ANY_TIME, ANY_VALUE), max_size=40)


def made(samples: list[tuple[float, float]]) -> Any:
    try:
        return make("a", [float(at) for at, _ in samples], [value for _, value in samples])
    except RecordingError as error:
        return str(error)


@given(SAMPLES)
def test_whatever_the_samples_a_recording_is_in_order_and_finite_or_refused_in_one_line(
    samples: list[tuple[float, float]],
) -> None:
    recording = made(samples)
    if isinstance(recording, str):
        assert "\n" not in recording
        return
    assert (np.diff(recording.timestamps) > 0).all()
    assert np.isfinite(recording.values.astype(np.float32)).all()
    assert len(recording.values) >= 3
    assert recording.step >= 1
    assert set(recording.timestamps.tolist()) <= {int(at) for at, _ in samples if np.isfinite(at)}


@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_samples_with_their_own_times_changes_nothing(samples: list, random: Any) -> None:
    unique = list({int(at): (at, value) for at, value in samples if np.isfinite(at)}.values())
    shuffled = unique.copy()
    random.shuffle(shuffled)
    first, second = made(unique), made(shuffled)
    if isinstance(first, str):
        assert isinstance(second, str)
    else:
        assert first.timestamps.tolist() == second.timestamps.tolist()
        assert first.values.tolist() == second.values.tolist()
        assert first.strays == second.strays


@given(st.lists(SAMPLES, min_size=1, max_size=5))
def test_every_series_is_laid_out_once_on_bounded_columns_that_hold_its_values(found: list) -> None:
    known = [recording for recording in map(made, found) if not isinstance(recording, str)]
    groups = clusters(known)
    assert sorted(id(recording) for group in groups for recording in group) == sorted(map(id, known))
    for group in groups:
        span = max(r.timestamps[-1] for r in group) - min(r.timestamps[0] for r in group)
        if span / group[0].step > 100_000:
            continue
        grid = lay_out(group)
        start = round(grid.end / grid.step) + 1 - grid.values.shape[2]
        for row, recording in enumerate(group):
            held = grid.values[row, 0, recording.columns - start]
            assert held[-1] == np.float32(recording.values[-1])
            assert np.isfinite(grid.values[row, 0]).sum() == len(np.unique(recording.columns))


def read_or_complaint(path: Path) -> Any:
    try:
        return read_samples(path)
    except RecordingError as error:
        return str(error)


CELL = st.one_of(
    st.sampled_from(["a", "b", "", "1", "60", "1e18", "nan", "inf", "-1", "1.5", "x", '"', "\x00"]), st.text()
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELL, max_size=4), max_size=12), st.binary(max_size=6))
def test_whatever_a_file_holds_it_is_read_or_refused_with_its_name(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "in.csv"
    with path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
        stream.write("series,timestamp,value\n")
        stream.writelines(",".join(row) + "\n" for row in rows)
    with path.open("ab") as stream:
        stream.write(tail)
    found = read_or_complaint(path)
    if isinstance(found, str):
        assert str(path) in found
    else:
        assert all(len(times) == len(values) > 0 for times, values in found.values())


def test_samples_far_from_the_others_in_time_are_strays_of_a_clock_that_jumped() -> None:
    times = [60 * at for at in range(50)]
    jumped = make("a", [*times, 400 * DAY, -(10**16), 2 * 10**12], [*range(50), 7, 8, 9])
    assert jumped.timestamps.tolist() == times
    assert jumped.strays == 3


@pytest.mark.parametrize("gap", [3 * 3600, 6 * DAY])
def test_a_gap_of_hours_or_days_is_kept(gap: int) -> None:
    times = [60 * at for at in range(50)] + [3000 + gap + 60 * at for at in range(50)]
    recording = make("a", times, list(range(100)))
    assert recording.timestamps.tolist() == times
    assert recording.strays == 0


def test_a_series_of_one_sample_a_week_has_no_strays() -> None:
    assert make("a", [8 * DAY * at for at in range(9)], list(range(9))).strays == 0


def test_the_last_of_repeated_timestamps_stands_and_backward_ones_are_put_in_order() -> None:
    recording = make("a", [120, 60, 60, 0, 120], [1, 2, 3, 4, 5])
    assert recording.timestamps.tolist() == [0, 60, 120]
    assert recording.values.tolist() == [4, 3, 5]


def test_milliseconds_are_told_from_seconds() -> None:
    with pytest.raises(RecordingError, match="1600000000000; give seconds since 1970"):
        make("a", [1_600_000_000_000 + 60_000 * at for at in range(5)], [1, 2, 3, 4, 5])


def test_a_series_that_spans_too_many_of_its_steps_is_refused() -> None:
    times = [*range(30), *(5 * DAY * at for at in range(1, 20))]
    with pytest.raises(RecordingError, match="mend its timestamps"):
        make("a", times, list(range(49)))


def test_series_that_would_fill_memory_together_are_laid_out_apart() -> None:
    ends = [[at, at + 1, at + 2, *range(at + 3 * DAY, at + 3 * DAY + 9)] for at in range(200)]
    groups = clusters([make(str(at), times, [1.0] * len(times)) for at, times in enumerate(ends)])
    assert max(len(group) for group in groups) * 3 * DAY <= 20_000_000
    assert 1 < len(groups) < 10


def test_a_byte_order_mark_and_spaces_in_the_header_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    with path.open("w", encoding="utf-8-sig") as stream:
        csv.writer(stream).writerows([["series", " timestamp", "value "], ["a", 1, 2]])
    assert {name: list(values) for name, (_, values) in read_samples(path).items()} == {"a": [2.0]}
