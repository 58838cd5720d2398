import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("100ms", 0.1), ("15s", 15), ("5m", 300), ("1.5h", 5400), ("1d", 86400), ("2w", 1209600), (" 5m ", 300), (7, 7)],
)
def test_durations_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "5x", "-5m", "1h30m", "nan", True, None, [5]])
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="write for example 100ms, 15s, 5m"):
        parse_duration(text)


@given(st.integers(1, 10**9))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(("seconds", "text"), [(300, "5m"), (90, "90s"), (86400, "1d"), (0.1, "100ms"), (3600, "1h")])
def test_the_shortest_text_is_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
