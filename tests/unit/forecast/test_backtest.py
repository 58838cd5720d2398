import csv
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from exporter.backtest.command import Request, run_backtest
from exporter.backtest.source import FetchRange, PrometheusQuery, load
from exporter.forecast.recordings import clusters, lay_out, make, read_csv
from exporter.forecast.trial import Design, targets


def recording(path: Path, columns: int = 100, step: int = 60, change_after: int | None = None) -> Path:
    time = np.arange(columns)
    values = 5 + 3 * np.sin(2 * np.pi * time / 30) + np.random.default_rng(0).normal(size=columns) * 0.2
    if change_after is not None:
        values[change_after + 1 :] = 1000.0
    rows = [f"web,{1_600_000_000 + step * at},{value:.6f}" for at, value in zip(time, values, strict=True)]
    path.write_text("\n".join(["series,timestamp,value", *rows, ""]))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_every_origin_horizon_and_quantile_has_a_row_and_its_actual(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = recording(tmp_path / "in.csv")
    output = tmp_path / "out.csv"
    assert run_backtest(Request(source, output, origins=10, test_from=0.5)) == 0
    rows = rows_of(output)
    truth = {row["timestamp"]: float(row["value"]) for row in rows_of(source)}
    assert list(rows[0]) == ["series", "origin", "horizon_seconds", "quantile", "forecast", "actual"]
    assert len(rows) == 10 * 3 * 3
    origins = sorted({int(row["origin"]) for row in rows})
    assert origins[0] == 1_600_000_000 + 50 * 60
    assert origins[-1] == 1_600_000_000 + (99 - 30) * 60
    for row in rows:
        assert float(row["actual"]) == truth[str(int(row["origin"]) + int(row["horizon_seconds"]))]
        assert np.isfinite(float(row["forecast"]))
    assert "peak memory" in capsys.readouterr().out


def test_an_origin_sees_nothing_that_comes_after_it(tmp_path: Path) -> None:
    forecasts = []
    for name, change_after in (("a", None), ("b", 50)):
        source = recording(tmp_path / f"{name}.csv", change_after=change_after)
        assert run_backtest(Request(source, tmp_path / f"{name}.out", origins=1, test_from=0.5)) == 0
        forecasts.append([row["forecast"] for row in rows_of(tmp_path / f"{name}.out")])
    assert forecasts[0] == forecasts[1]


def test_gaps_and_jitter_keep_origins_on_samples_of_the_file() -> None:
    random = np.random.default_rng(2)
    times = 60 * np.arange(400) + random.integers(-8, 9, size=400)
    keep = random.random(400) > 0.1
    series = make("jitter", times[keep].tolist(), random.random(keep.sum()).tolist())
    origins, after = targets(series, Design((300.0, 900.0), (0.5,), 20, 0.6))
    assert series.step == pytest.approx(60, abs=3)
    away = series.timestamps[after] - series.timestamps[origins][:, None]
    assert (np.abs(away - [300, 900]) <= series.step / 2).all()


def test_compressed_input_and_the_short_header_are_read(tmp_path: Path) -> None:
    text = "series,ts,value\n" + "".join(f"a,{60 * at},{at}\n" for at in range(5))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "a.csv.xz").write_bytes(lzma.compress(text.encode()))
    for name in ("a.csv.gz", "a.csv.xz"):
        assert read_csv(tmp_path / name)[0].values.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("packed", [b"not gzip", gzip.compress(b"series,timestamp,value\n" * 99)[:20], None])
def test_a_corrupt_file_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bytes | None
) -> None:
    garbled = gzip.compress(b"")[:10] + b"\xff" * 40
    (tmp_path / "a.csv.gz").write_bytes(garbled if packed is None else packed)
    assert run_backtest(Request(tmp_path / "a.csv.gz", tmp_path / "out.csv")) == 2
    said = capsys.readouterr().err
    assert "cannot be read" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "header lacks"),
        ("series,value\n", "header lacks timestamp"),
        ("series,timestamp,value\n", "holds no samples"),
        ("series,timestamp,value\na,1,x\n", ":2:"),
        ("series,timestamp,value\na,1.5,3\n", ":2:"),
        ("series,timestamp,value\na,1\n", ":2:"),
        ("series,timestamp,value\na,1,2\n", "at least 3"),
        ("series,timestamp,value\na,0,2\na,1,2\na,2,3\na,99999999,2\n", "nothing to forecast"),
    ],
)
def test_bad_input_gets_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    (tmp_path / "in.csv").write_text(text)
    assert run_backtest(Request(tmp_path / "in.csv", tmp_path / "out.csv")) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_a_missing_file_and_wrong_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_backtest(Request(tmp_path / "none.csv", tmp_path / "o.csv")) == 2
    source = recording(tmp_path / "in.csv", columns=20)
    for wrong in ({"quantiles": (1.5,)}, {"horizons": ()}, {"origins": 0}, {"test_from": 1.0}, {"horizons": (1e6,)}):
        assert run_backtest(Request(source, tmp_path / "o.csv", **wrong)) == 2
    assert capsys.readouterr().err.count("\n") == 6


def test_series_of_other_steps_or_times_do_not_share_columns() -> None:
    minute, later = make("m", [0, 60, 120], [1, 2, 3]), make("l", [6000, 6060, 6120], [1, 2, 3])
    quarter, beside = make("q", [0, 15, 30], [1, 2, 3]), make("b", [60, 120, 180], [4, 5, 6])
    assert [[r.name for r in group] for group in clusters([minute, later, quarter, beside])] == [
        ["q"],
        ["m", "b"],
        ["l"],
    ]
    assert lay_out([minute, beside]).values[:, 0, 1:3].tolist() == [[2, 3], [4, 5]]


Answer = dict[str, tuple[list[float], list[float]]]


def answering(known: Answer, asked: list[tuple[float, float]]) -> FetchRange:
    """Return a Prometheus that knows these samples, and notes what spans it is asked for."""

    def fetch(url: str, query: str, start: float, end: float, step: float, timeout: float) -> Answer:
        asked.append((start, end))
        within = {}
        for name, (times, values) in known.items():
            there = [(at, value) for at, value in zip(times, values, strict=True) if start <= at <= end]
            if there or not times:
                within[name] = ([at for at, _ in there], [value for _, value in there])
        return within

    return fetch


def past(count: int, end: float = 999_960.0) -> tuple[list[float], list[float]]:
    return [end - 60.0 * at for at in reversed(range(count))], [float(at % 7) for at in range(count)]


def test_a_query_to_prometheus_stands_in_for_a_file(tmp_path: Path) -> None:
    fetch = answering({"up": past(90), "new": past(1)}, [])
    query = PrometheusQuery("http://prometheus", "rate(x[5m])", fetch, now=1e6)
    assert run_backtest(Request(query, tmp_path / "out.csv", origins=3, test_from=0.5)) == 0
    assert {row["series"] for row in rows_of(tmp_path / "out.csv")} == {"up"}


def test_each_minute_of_the_span_is_asked_for_once_in_answers_of_bounded_size() -> None:
    asked: list[tuple[float, float]] = []
    known = {f"s{at}": past(5000) for at in range(3)}
    query = PrometheusQuery("http://prometheus", "up", answering(known, asked), now=999_960.5, span=3 * 86400.0)
    recordings = load(query, Design((300.0,), (0.5,), 3, 0.6))
    minutes = [at for start, end in asked for at in np.arange(start, end + 1, 60.0).tolist()]
    assert sorted(minutes) == np.arange(999_960 - 3 * 86400, 999_961, 60.0).tolist()
    assert max(end - start for start, end in asked) <= 1440 * 60
    assert [recording.name for recording in recordings] == ["s0", "s1", "s2"]
    assert all(len(recording.values) == 3 * 1440 + 1 for recording in recordings)


def test_of_too_many_series_those_alive_now_are_tried_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = {f"gone{at}": past(90, end=996_000.0) for at in range(30)} | {f"here{at:03}": past(60) for at in range(499)}
    query = PrometheusQuery("http://prometheus", "up", answering(known, []), now=1e6, span=7200.0)
    recordings = load(query, Design((300.0,), (0.5,), 3, 0.6))
    assert len(recordings) == 500
    assert [recording.name for recording in recordings[-2:]] == ["here498", "gone0"]
    assert "500 of 529 series are tried; narrow --query" in capsys.readouterr().err


def test_an_answer_of_very_many_series_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = {str(at): ([1e6], [1.0]) for at in range(20_001)}
    query = PrometheusQuery("http://prometheus", "up", lambda *_: many, now=1e6)
    assert run_backtest(Request(query, tmp_path / "out.csv")) == 2
    assert "20001 series are too many" in capsys.readouterr().err


@pytest.mark.parametrize("span", [0.0, 1e9])
def test_a_span_beyond_reason_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], span: float) -> None:
    query = PrometheusQuery("http://prometheus", "up", answering({}, []), now=1e6, span=span)
    assert run_backtest(Request(query, tmp_path / "out.csv")) == 2
    assert "--span: give a time" in capsys.readouterr().err


USABLE = past(90)
UNUSABLE = {
    "empty": ([], []),
    "of one sample": past(1),
    "without numbers": (USABLE[0], [float("nan")] * 90),
    "of two numbers": (USABLE[0], [1.0, 2.0] + [float("inf")] * 88),
    "shorter than the horizons": past(10),
}


def ask(output: Path, answer: Answer) -> int:
    query = PrometheusQuery("http://prometheus", "up", answering(answer, []), now=1e6)
    return run_backtest(Request(query, output, origins=2, test_from=0.5))


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_series_of_prometheus_that_cannot_be_forecast_is_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert ask(tmp_path / "out.csv", {"bad": UNUSABLE[kind], "good": USABLE}) == 0
    assert {row["series"] for row in rows_of(tmp_path / "out.csv")} == {"good"}
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "left out" in line] == said[:1]
    assert "1 of 2 series" in said[0]


def test_where_every_series_can_be_forecast_nothing_is_said_to_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path / "out.csv", {"good": USABLE}) == 0
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("answer", [{}, UNUSABLE], ids=["no series", "none that can be forecast"])
def test_an_answer_without_a_series_to_forecast_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Answer
) -> None:
    assert ask(tmp_path / "out.csv", answer) == 2
    said = capsys.readouterr().err
    assert "--query: nothing to forecast" in said
    assert said.count("\n") == 1


def test_a_long_horizon_is_written_in_whole_seconds(tmp_path: Path) -> None:
    source = recording(tmp_path / "in.csv", columns=60, step=86400)
    assert run_backtest(Request(source, tmp_path / "out.csv", horizons=(1_209_600.0,), origins=2)) == 0
    assert {row["horizon_seconds"] for row in rows_of(tmp_path / "out.csv")} == {"1209600"}


def test_prometheus_unreachable_is_told_in_its_own_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fetch(*_: object) -> dict[str, tuple[list[float], list[float]]]:
        raise ConnectionError("http://prometheus: refused")

    query = PrometheusQuery("http://prometheus", "up", fetch, now=1e6)
    assert run_backtest(Request(query, tmp_path / "out.csv")) == 2
    assert capsys.readouterr().err == "cpp-exporter backtest: http://prometheus: refused\n"
