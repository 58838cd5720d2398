import csv
import gzip
import lzma
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.__main__ import main
from exporter.assess.scores import INTERFERENCE
from exporter.replay import HEADER
from exporter.sources.exposition import parse_labels
from exporter.sources.replay import Row, read_recording, steps

COLUMNS = "timestamp,container,metric,label,value"
START = 1_800_000_000
CPU = "container_cpu_usage_seconds_total"
SCORES = {
    "cpp_cpu_burst_ratio",
    "cpp_memory_leak_ratio",
    "cpp_network_flood_ratio",
    "cpp_anomaly_ratio",
    "cpp_security_risk_ratio",
    "cpp_interference_suffered_ratio",
    "cpp_interference_caused_ratio",
}


def _recording(seconds: int) -> str:
    lines = [COLUMNS]
    for second in range(seconds):
        at = START + second
        lines.append(f"{at},steady,container_memory_working_set_bytes,,50000000")
        lines.append(f"{at},leaking,container_memory_working_set_bytes,,{50_000_000 + max(0, second - 60) * 1_000_000}")
        lines += [f"{at},{name},{CPU},,{0.2 * second:.3f}" for name in ("steady", "leaking")]
        lines.append(f"{at},steady,container_syscalls_total,read,{100 * second}")
    return "\n".join(lines) + "\n"


def _replay(folder: Path, text: str, *more: str) -> tuple[int, list[dict[str, str]]]:
    source, output = folder / "in.csv", folder / "out.csv"
    source.write_text(text)
    code = main(["replay", "--input", str(source), "--output", str(output), *more])
    if code:
        return code, []
    with output.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        assert reader.fieldnames == HEADER
    return code, rows


def test_every_score_of_every_container_has_a_row_a_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = _replay(tmp_path, _recording(20))
    assert code == 0
    assert capsys.readouterr().out == "20 steps scored\n"
    assert {row["score"] for row in rows} == SCORES
    per_step = 2 * (5 + 2 * len(INTERFERENCE))
    assert len(rows) == 20 * per_step
    assert [int(row["timestamp"]) for row in rows[::per_step]] == list(range(START, START + 20))
    assert all(0 <= float(row["value"]) <= 1 and row["alarm"] in "01" for row in rows)


def test_a_leak_alarms_and_steady_memory_does_not(tmp_path: Path) -> None:
    _, rows = _replay(tmp_path, _recording(240))
    alarms = {
        (row["container"], int(row["timestamp"]) - START)
        for row in rows
        if row["score"] == "cpp_memory_leak_ratio" and row["alarm"] == "1"
    }
    assert {name for name, _ in alarms} == {"leaking"}
    assert 60 < min(second for _, second in alarms) < 150


def test_a_longer_step_gives_fewer_rows_and_the_threshold_comes_from_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "exporter.yml"
    config.write_text("assess: {thresholds: {memory_leak: 1}}\n")
    _, rows = _replay(tmp_path, _recording(240), "--step", "5s", "--config.file", str(config))
    assert len({row["timestamp"] for row in rows}) == 49
    assert not [row for row in rows if row["score"] == "cpp_memory_leak_ratio" and row["alarm"] == "1"]


@pytest.mark.parametrize("opener", [gzip.open, lzma.open], ids=["gz", "xz"])
def test_compressed_recordings_are_read(tmp_path: Path, opener: Callable[..., object]) -> None:
    suffix = {gzip.open: "gz", lzma.open: "xz"}[opener]
    packed = tmp_path / f"in.csv.{suffix}"
    packed.write_bytes((gzip if suffix == "gz" else lzma).compress(_recording(3).encode()))
    assert len(list(read_recording(packed, 60.0))) == 15


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: columns are ''"),
        ("time,value\n1,2\n", "line 1: columns are 'time,value'; write timestamp,container"),
        (f"{COLUMNS}\n1,web,{CPU},,5\nsoon,web,{CPU},,5\n", "line 3: "),
        (f"{COLUMNS}\n1,web,{CPU},,many\n", "line 2: "),
        (f"{COLUMNS}\n1,web\n", "line 2: "),
        (f"{COLUMNS}\nnan,web,{CPU},,5\n", "line 2: "),
        (f"{COLUMNS}\n{START}000,web,{CPU},,5\n", "line 2: '1800000000000' is no time; write epoch seconds"),
        (f"{COLUMNS}\n0,web,{CPU},,5\n1.7e9,web,{CPU},,6\n", "line 3: comes 1700000000 s after the line before"),
        (f"{COLUMNS}\n5,web,{CPU},,5\n4,web,{CPU},,5\n", "line 3: goes back in time; sort"),
    ],
    ids=[
        "empty",
        "other columns",
        "no time",
        "no number",
        "too few cells",
        "no time at all",
        "milliseconds",
        "a jump",
        "out of order",
    ],
)
def test_a_bad_recording_gets_one_line_with_its_place_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    assert _replay(tmp_path, text)[0] == 2
    error = capsys.readouterr().err
    assert f": {tmp_path / 'in.csv'}: " in error
    assert reason in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none.csv", None),
        ("a.csv.gz", b"not gzip"),
        ("b.csv.gz", gzip.compress(b"")[:10] + b"\xff" * 40),
        ("a.csv.xz", b"not xz"),
        ("a.csv", b"\xff\xfe"),
        ("b.csv", f"{COLUMNS}\n1,{'x' * 200_000}".encode()),
    ],
)
def test_a_recording_that_cannot_be_read_gets_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["replay", "--input", str(tmp_path / name), "--output", str(tmp_path / "out.csv")]) == 2
    error = capsys.readouterr().err
    assert "cannot be read" in error
    assert error.count("\n") == 1


def test_an_output_that_cannot_be_written_gets_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text(_recording(2))
    code = main(["replay", "--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "none/out.csv")])
    assert code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_steps_end_on_the_grid_and_hold_the_newest_samples_until_then() -> None:
    rows = [Row(0.4, "a", CPU, "", 1.0), Row(1.0, "a", CPU, "", 2.0), Row(3.2, "a", CPU, "", 5.0)]
    found = [
        (end, float(samples[CPU].values[0]), float(samples[CPU].timestamps[0])) for end, samples in steps(rows, 1.0)
    ]
    assert found == [(1.0, 2.0, 1.0), (2.0, 2.0, 1.0), (3.0, 2.0, 1.0), (4.0, 5.0, 3.2)]


def test_names_with_quotes_are_written_as_labels_and_read_back() -> None:
    ((_, samples),) = steps([Row(1.0, 'a"b\\c', CPU, "", 1.0)], 1.0)
    assert parse_labels(samples[CPU].keys[0])["name"] == 'a"b\\c'
    assert not math.isnan(samples[CPU].timestamps[0])


def test_a_gap_within_bounds_is_scored_step_by_step(tmp_path: Path) -> None:
    text = f"{COLUMNS}\n{START},web,{CPU},,1\n{START + 500},web,{CPU},,2\n"
    _, rows = _replay(tmp_path, text, "--step", "5s")
    assert len({row["timestamp"] for row in rows}) == 101


def test_a_jump_that_a_longer_step_bridges_is_scored(tmp_path: Path) -> None:
    text = f"{COLUMNS}\n{START},web,{CPU},,1\n{START + 10 * 86_400},web,{CPU},,2\n"
    assert _replay(tmp_path, text, "--step", "1s")[0] == 2
    assert len({row["timestamp"] for row in _replay(tmp_path, text, "--step", "2d")[1]}) == 6


@pytest.mark.parametrize(("most", "code"), [(2, 0), (1, 2)])
def test_more_containers_than_there_is_room_for_are_refused_and_not_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], most: int, code: int
) -> None:
    config = tmp_path / "exporter.yml"
    config.write_text(f"history: {{max_containers: {most}}}\n")
    assert _replay(tmp_path, _recording(3), "--config.file", str(config))[0] == code
    error = capsys.readouterr().err
    assert ("holds over 1 containers; raise history.max_containers" in error) == bool(code)
    assert error.count("\n") == bool(code)
