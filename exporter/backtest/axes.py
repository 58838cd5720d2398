"""Marks along an axis: round numbers, and round times in UTC."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY = 86400
_MONTHS = 60 * _DAY
_MOST_NUMBERS = 7
_MOST_LONG, _MOST_SHORT = 4, 7
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_PLAIN = (1e-3, 1e15)
"""Outside of it numbers are written with an exponent."""
Marks = list[tuple[float, str]]


def number_marks(low: float, high: float) -> Marks:
    """Return a few round numbers in [low, high], a finite span above zero, and how to write each."""
    rough = (high - low) / _MOST_NUMBERS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    values = [place * step for place in range(first, last + 1)]
    return list(zip(values, _written(values, step), strict=True))


def _written(values: list[float], step: float) -> Iterable[str]:
    largest = max((abs(value) for value in values), default=0.0)
    if largest and not _PLAIN[0] <= largest < _PLAIN[1]:
        digits = max(math.floor(math.log10(largest)) - math.floor(math.log10(step)), 0)
        return [f"{value:.{digits}e}" if value else "0" for value in values]
    size, prefix = next((pair for pair in _PREFIXES if largest >= pair[0]), (1.0, ""))
    digits = max(-math.floor(math.log10(step / size) + 1e-9), 0)
    return [f"{value / size:.{digits}f}{prefix}" if value else "0" for value in values]


def time_marks(start: float, end: float) -> Marks:
    """Return a few round times in [start, end], epoch seconds, and how to write each, in UTC."""
    days = moment(start, "%j %Y") != moment(end, "%j %Y")
    rough = (end - start) / (_MOST_LONG if days else _MOST_SHORT)
    step = next((step for step in _TIME_STEPS if step >= rough), math.ceil(rough / _DAY) * _DAY)
    first, last = math.ceil(start / step), math.floor(end / step)
    return [(place * step, moment(place * step, _form(step, days))) for place in range(first, last + 1)]


def time_title(start: float, end: float) -> str:
    """Return what the marks of ``time_marks`` leave out: the zone, and the day or the year."""
    form = next((form for form in ("%Y-%m-%d", "%Y") if moment(start, form) == moment(end, form)), None)
    return f"time (UTC), {moment(start, form)}" if form else f"time (UTC), from {moment(start, '%Y-%m-%d')}"


def _form(step: int, days: bool) -> str:
    if step >= _DAY:
        return "%d %b" if step < _MONTHS else "%b %Y"
    clock = "%H:%M" if step >= 60 else "%H:%M:%S"
    return f"%d %b {clock}" if days else clock


def moment(seconds: float, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    """Return epoch ``seconds`` as written in UTC."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(seconds))).strftime(form)
