import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.backtest.axes import number_marks, time_marks, time_title
from exporter.backtest.page import page
from exporter.backtest.panel import HEIGHT, WIDTH
from exporter.backtest.paths import breaks, line, lowest_and_highest
from exporter.backtest.report import table
from exporter.backtest.scores import score
from exporter.backtest.terminal import Progress
from exporter.forecast.recordings import Recording, make
from exporter.forecast.trial import Design, Result

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
DESIGN = Design((300.0, 900.0), (0.5, 0.9, 0.99), 10, 0.6)
BEGIN = 1_600_000_020


def tried(name: str, error: float = 1.0, size: float = 1.0, origins: int = 10) -> tuple[Recording, Result]:
    """A wave whose medians are off by ``error``, the .9 by one and the .99 by two more, of ``size``."""
    values = size * (10 + 3 * np.sin(np.arange(40 + 4 * origins) / 5))
    at = np.arange(20, 20 + 4 * origins, 4)
    actual = np.stack([values[at + 5], values[at + 15]], axis=1)
    forecast = actual[:, :, None] + size * (error + np.array([0.0, 1.0, 2.0]))
    recording = make(name, BEGIN + 60 * np.arange(len(values)), values)
    return recording, Result(name, BEGIN + 60 * at, values[at], actual, forecast, np.ones(2))


def drawn(*found: tuple[Recording, Result], source: str = "usage.csv", design: Design = DESIGN) -> str:
    recordings, results = [pair[0] for pair in found], [pair[1] for pair in found]
    return page(source, recordings, results, score(results, design), design)


def parsed(*found: tuple[Recording, Result], **options: Any) -> ET.Element:
    return ET.fromstring(drawn(*found, **options))


def corners(svg: ET.Element) -> np.ndarray:
    """The points [points, 2] of all that is drawn with absolute coordinates."""
    paths = " ".join(path.get("d", "") for path in svg.iter(f"{SVG}path") if path.get("class") != "grid")
    points = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", paths)
    points += [(c.get("cx"), c.get("cy")) for c in svg.iter(f"{SVG}circle")]
    points += [(t.get("x"), t.get("y")) for t in svg.iter(f"{SVG}text")]
    return np.array(points, np.float64)


def panels(root: ET.Element) -> list[ET.Element]:
    return [figure.find(f"{SVG}svg") for figure in root.iter(f"{XHTML}figure")]


def headings(root: ET.Element) -> list[str]:
    return ["".join(heading.itertext()) for heading in root.iter(f"{XHTML}h3")]


def test_each_series_has_a_panel_a_horizon_with_title_description_and_all_its_parts() -> None:
    found = panels(parsed(tried("web"), tried("db", 0.1)))
    assert len(found) == 4
    for svg in found:
        assert [path.get("class") for path in svg.iter(f"{SVG}path")] == ["grid", "outer", "inner", "median", "actual"]
        named = {element.get("id"): element.text for element in svg}
        title, described = (named[name] for name in svg.get("aria-labelledby", "").split())
        assert re.fullmatch("(web|db), (5|15)m ahead", title)
        assert "10 forecasts from 2020-09-13 1" in described
        assert svg.get("role") == "img"


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([1e-30, 1e-9, 1.0, -1.0, 1e9, 1e18, 5e28, 0.0]),
    st.sampled_from([0.0, -5.0, 1.0, 1e6, float("inf"), float("-inf"), float("nan")]),
    st.integers(1, 12),
)
def test_whatever_was_forecast_all_that_is_drawn_lies_inside_the_panel(size: float, error: float, count: int) -> None:
    recording, result = tried("a", 1.0, size, count)
    with np.errstate(invalid="ignore"):
        result = replace(result, forecast=result.forecast + error * size)
    for svg in panels(parsed((recording, result))):
        points = corners(svg)
        assert len(points) > 10
        assert (points >= 0).all()
        assert (points <= [WIDTH, HEIGHT]).all()


def test_values_over_the_last_quantile_are_marked_and_no_others() -> None:
    recording, result = tried("a", -2.0)
    for over in (0, 3):
        result.forecast[:over, :, 2] = result.actual[:over] - 0.5
        for svg in panels(parsed((recording, result))):
            marks = list(svg.iter(f"{SVG}circle"))
            assert len(marks) == over
            assert all("UTC: " in mark.find(f"{SVG}title").text for mark in marks)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = drawn(tried("a"))
    root = ET.fromstring(text)
    assert not [element for element in root.iter() if element.tag.split("}")[1] in {"script", "link", "img", "image"}]
    held = {name for element in root.iter() for name in element.keys()}  # noqa: SIM118 - not a dictionary
    assert not held & {"src", "href", "onload", "onclick"}
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a&b\"'", "\x00\x1b[31m", "\ud800", "\u202eevil", "x" * 9999, ""]
)
def test_an_odd_name_is_shown_as_text(name: str) -> None:
    text = drawn(tried(name), source=name).encode("utf-8", "xmlcharrefreplace").decode()
    root = ET.fromstring(text)
    assert len(panels(root)) == 2
    assert len(text) < 60_000
    seen: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, _: seen.append(tag)
    reader.feed(text)
    assert "script" not in seen
    assert headings(root)[0][:10] == re.sub("[\x00\x1b\ud800]", "\ufffd", name)[:10]


def test_of_many_series_the_worst_and_the_best_are_drawn_and_it_is_said() -> None:
    root = parsed(*(tried(f"s{at}", 0.1 + at / 10) for at in range(30)))
    assert headings(root) == [f"s{at}" for at in [*range(29, 17, -1), *range(11, -1, -1)]]
    assert "24 of 30 are drawn: the 12 of highest and the 12 of lowest loss." in "".join(root.itertext())


def test_few_series_are_all_drawn_the_worst_first() -> None:
    root = parsed(tried("good", 0.1), tried("bad", 9.0), tried("fair", 1.0))
    assert headings(root) == ["bad", "fair", "good"]
    assert "All are drawn." in "".join(root.itertext())


def test_many_horizons_leave_room_for_fewer_series() -> None:
    design = replace(DESIGN, horizons=(300.0, 900.0) * 12)
    found = []
    for recording, result in (tried(f"s{at}", at) for at in range(9)):
        wide = {name: np.repeat(getattr(result, name), 12, axis=1) for name in ("actual", "forecast")}
        found.append((recording, replace(result, scale=np.ones(24), **wide)))
    assert len(headings(parsed(*found, design=design))) == 4


def test_the_head_of_the_page_tells_what_the_terminal_tells() -> None:
    found = [tried("a", 0.5), tried("b", 2.0)]
    results = [result for _, result in found]
    root = parsed(*found)
    (body,) = root.iter(f"{XHTML}tbody")
    rows = [["".join(cell.itertext()) for cell in row] for row in body]
    lines = table(results, score(results, DESIGN), DESIGN).splitlines()
    assert [line.split() for line in lines[2:4]] == rows
    assert rows[0][0] == "5m"


def test_loss_and_coverage_are_what_they_say() -> None:
    _, result = tried("a", 1.0)
    found = score([result], DESIGN)
    naive = np.abs(result.actual - result.last[:, None]).mean(axis=0)
    assert found.loss[0] == pytest.approx((1.0 + 0.05) / (naive + 0.05))
    assert found.mae_ratio[0] == pytest.approx(1.0 / naive)
    assert found.under[0].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    _, below = tried("b", -1.5)
    assert score([below], DESIGN).under[0].tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_a_series_that_never_moved_has_no_loss_and_comes_last() -> None:
    _, moving = tried("moving", 0.5)
    still = replace(moving, name="still", last=np.ones(10), actual=np.ones((10, 2)), forecast=np.ones((10, 2, 3)))
    results = [replace(still, scale=np.zeros(2)), moving]
    found = score(results, DESIGN)
    assert np.isnan(found.loss[0]).all()
    assert found.worst_first.tolist() == [1, 0]
    assert table(results, found, DESIGN).splitlines()[-1].split() == ["-", "1.000", "1.000", "still"]
    assert table(results[:1], score(results[:1], DESIGN), DESIGN).splitlines()[2].split()[1:3] == ["-", "-"]


def test_the_worst_series_are_told_in_aligned_columns_whatever_their_names() -> None:
    results = [tried(name, at)[1] for at, name in enumerate(["a", "b\nc", "d" * 500, "\x1b[2J", "e", "f", "g"])]
    lines = table(results, score(results, DESIGN), DESIGN).splitlines()
    assert lines[4] == "worst 5 of 7 series, all horizons together:"
    assert [line[31:] for line in lines[6:]] == ["g", "f", "e", "\ufffd[2J", "d" * 50 + "…" + "d" * 49]
    assert len({line.index("series") for line in lines[5:6]} | {31}) == 1


def test_one_series_needs_no_table_of_its_own() -> None:
    result = tried("a")[1]
    assert len(table([result], score([result], DESIGN), DESIGN).splitlines()) == 4


def test_lines_break_at_gaps_and_keep_the_extremes_of_what_falls_together() -> None:
    times = np.array([0.0, 1, 2, 9, 10, 11])
    assert breaks(times).tolist() == [False, False, True, False, False]
    assert line(times, times, breaks(times)).count("M") == 2
    x, y = np.repeat(np.arange(5.0), 100), np.random.default_rng(0).random(500)
    keep = lowest_and_highest(x, y)
    assert len(keep) == 10
    assert np.sort(y[keep]).tolist() == sorted([*y.reshape(5, 100).min(1), *y.reshape(5, 100).max(1)])


@given(st.floats(-1e18, 1e18), st.floats(1e-9, 1e18))
def test_marks_of_numbers_lie_in_the_span_and_are_few(low: float, width: float) -> None:
    high = low + max(width, 1e-3 * abs(low))
    marks = number_marks(low, high)
    assert 2 <= len(marks) <= 8
    slack = 1e-9 * max(abs(low), abs(high))
    assert all(low - slack <= value <= high + slack for value, _ in marks)
    assert len({text for _, text in marks}) == len(marks)
    assert all(len(text) <= 11 for _, text in marks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.1, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.0, 2.1e9, ["0", "0.5G", "1.0G", "1.5G", "2.0G"]),
        (-2000.0, 2000.0, ["-2k", "-1k", "0", "1k", "2k"]),
        (0.0, 4e-6, ["0", "1e-06", "2e-06", "3e-06", "4e-06"]),
    ],
)
def test_numbers_are_written_short(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in number_marks(low, high)] == texts


@pytest.mark.parametrize(
    ("span", "first", "title"),
    [
        (60, "12:27:00", "time (UTC), 2020-09-13"),
        (7200, "12:30", "time (UTC), 2020-09-13"),
        (2 * 86_400, "14 Sep 00:00", "time (UTC), 2020"),
        (20 * 86_400, "15 Sep", "time (UTC), 2020"),
        (900 * 86_400, "Feb 2021", "time (UTC), from 2020-09-13"),
    ],
)
def test_times_are_marked_at_round_ones_in_utc(span: int, first: str, title: str) -> None:
    marks = time_marks(BEGIN, BEGIN + span)
    assert 2 <= len(marks) <= 8
    assert all(BEGIN <= at <= BEGIN + span for at, _ in marks)
    assert marks[0][1] == first
    assert time_title(BEGIN, BEGIN + span) == title


def test_progress_is_told_each_tenth_once_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 1.0, 30.0, 31.0, 200.0])
    progress = Progress("part 1", lambda: next(clock))
    for share in (0.1, 0.2, 0.25, 0.5):
        progress(share)
    assert capsys.readouterr().err == "backtest: part 1: 20 %, about 2m left\nbacktest: part 1: 50 %, about 3m left\n"
