import csv
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.backtest.command import Request, run_backtest
from exporter.backtest.source import PrometheusQuery

BEGIN = 1_600_000_200
STEP = 600
COLUMNS = 60
"""Few enough before the first origin that no training child is started."""
TIMES = [BEGIN + STEP * at for at in range(COLUMNS)]
WAVE = [5 + 3 * float(np.sin(at / 5)) for at in range(COLUMNS)]

Series = tuple[Sequence[float], Sequence[float]]

FORECAST: dict[str, Series] = {
    "constant": (TIMES, [4.0] * COLUMNS),
    "constant zero": (TIMES, [0.0] * COLUMNS),
    "negative": (TIMES, [-value for value in WAVE]),
    "1e18": (TIMES, [1e18 * value for value in WAVE]),
    "1e18 once": (TIMES, [*WAVE[:50], 1e18, *WAVE[51:]]),
    "1e-18": (TIMES, [1e-18 * value for value in WAVE]),
    "often missing": (TIMES, [value if at % 7 else float("nan") for at, value in enumerate(WAVE)]),
    "infinite at times": (TIMES, [value if at % 9 else float("inf") for at, value in enumerate(WAVE)]),
    "beyond single precision at times": (TIMES, [value if at % 9 else 1e300 for at, value in enumerate(WAVE)]),
    "a gap of hours": ([at + (3 * 3600 if at > TIMES[20] else 0) for at in TIMES], WAVE),
    "a gap of hours between origins": ([at + (2 * 3600 if at > TIMES[44] else 0) for at in TIMES], WAVE),
    "duplicate timestamps": ([*TIMES, *TIMES], [*WAVE, *WAVE[::-1]]),
    "backward timestamps": (TIMES[::-1], WAVE),
    "a level shift": (TIMES, [*WAVE[:40], *(1000 + value for value in WAVE[40:])]),
    "a clock that jumps ahead": ([*TIMES[:20], *(at + 86_400 * 400 for at in TIMES[20:23]), *TIMES[23:]], WAVE),
    "a clock that jumps to 1970": ([*TIMES[:20], *range(3), *TIMES[23:]], WAVE),
    "a clock that steps back an hour": ([*TIMES[:40], *(at - 3600 for at in TIMES[40:])], WAVE),
    "jitter": ([at + at % 7 for at in TIMES], WAVE),
}
ABSENT: dict[str, Series] = {
    "three points": (TIMES[:3], WAVE[:3]),
    "two points": (TIMES[:2], WAVE[:2]),
    "all NaN": (TIMES, [float("nan")] * COLUMNS),
    "one time only": ([BEGIN] * COLUMNS, WAVE),
    "milliseconds": ([1000 * at for at in TIMES], WAVE),
}


def write(path: Path, known: Mapping[str, Series]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["series", "timestamp", "value"])
        for name, (times, values) in known.items():
            writer.writerows([name, int(at), value] for at, value in zip(times, values, strict=True))
    return path


def run(folder: Path, source: Path | PrometheusQuery) -> int:
    return run_backtest(
        Request(source, folder / "o.csv", (3000.0, 6000.0), origins=5, test_from=0.6, plot=folder / "o.html")
    )


def check_forecasts(folder: Path, series: set[str]) -> None:
    ET.fromstring((folder / "o.html").read_text())
    with (folder / "o.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["series"] for row in rows} == series
    forecasts = np.array([float(row["forecast"]) for row in rows]).reshape(-1, 3)
    assert np.isfinite(forecasts).all()
    assert (np.diff(forecasts, axis=1) >= 0).all()


@pytest.mark.parametrize("kind", FORECAST)
def test_an_odd_series_of_a_file_is_forecast_and_drawn(tmp_path: Path, kind: str) -> None:
    assert run(tmp_path, write(tmp_path / "in.csv", {kind: FORECAST[kind]})) == 0
    check_forecasts(tmp_path, {kind})


@pytest.mark.parametrize("kind", ABSENT)
def test_a_series_that_cannot_be_forecast_is_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert run(tmp_path, write(tmp_path / "in.csv", {kind: ABSENT[kind]})) == 2
    said = capsys.readouterr().err
    assert "nothing to forecast" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "o.csv").exists()


def test_beside_good_series_those_of_a_file_that_cannot_be_forecast_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, write(tmp_path / "in.csv", FORECAST | ABSENT)) == 0
    check_forecasts(tmp_path, set(FORECAST))
    said = capsys.readouterr().err
    assert f"{len(ABSENT)} of {len(FORECAST | ABSENT)} series are left out, for example:" in said
    assert "3 samples of 'a clock that jumps ahead' lie far from its others" in said


def test_prometheus_may_answer_with_the_same_odd_series(tmp_path: Path) -> None:
    known = FORECAST | ABSENT
    answers = iter([{name: (list(times), list(values)) for name, (times, values) in known.items()}])
    query = PrometheusQuery("http://p", "up", lambda *_: next(answers), now=TIMES[-1], span=540.0)
    assert run(tmp_path, query) == 0
    check_forecasts(tmp_path, set(FORECAST))


@st.composite
def odd_series(draw: st.DrawFn) -> Series:
    """Steps of ten minutes, now and then a gap or a step back, and any numbers."""
    steps = draw(st.lists(st.sampled_from([STEP] * 12 + [0, 1, -STEP, 2 * STEP, 7200, 40 * 86_400]), max_size=50))
    size = draw(st.sampled_from([1.0, 1e-9, 1e9, 1e18]))
    value = st.one_of(st.floats(-size, size), st.sampled_from([0.0, size, float("nan")]))
    values = draw(st.lists(value, min_size=len(steps), max_size=len(steps)))
    return (BEGIN + np.cumsum(steps)).tolist(), values


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), odd_series(), min_size=1, max_size=3))
def test_whatever_the_series_there_are_ordered_forecasts_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, known: dict[str, Series]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    answers = iter([known])
    query = PrometheusQuery("http://p", "up", lambda *_: next(answers), now=BEGIN, span=540.0)
    if run(folder, query) == 0:
        with (folder / "o.csv").open(newline="") as stream:
            check_forecasts(folder, {row["series"] for row in csv.DictReader(stream)})
    else:
        assert not (folder / "o.csv").exists()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"output": "in.csv"}, "--output: "),
        ({"output": "none/o.csv"}, "none is no directory"),
        ({"plot": "o.csv"}, "is the file of --output too"),
        ({"plot": "none/o.html"}, "--plot: "),
        ({"plot": "o.png"}, "end its name in .html"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, str], complaint: str
) -> None:
    source = write(tmp_path / "in.csv", {"wave": (TIMES, WAVE)})
    before = source.read_text()
    paths = {name: tmp_path / path for name, path in ({"output": "o.csv"} | changed).items()}
    assert run_backtest(Request(source, **paths)) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
    assert source.read_text() == before


def test_a_key_that_interrupts_ends_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fetch(*_: object) -> dict[str, Series]:
        raise KeyboardInterrupt

    assert run(tmp_path, PrometheusQuery("http://p", "up", fetch, now=BEGIN)) == 130
    assert capsys.readouterr().err == "cpp-exporter backtest: interrupted\n"
