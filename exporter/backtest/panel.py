"""One panel: what came at one series and horizon, over the bands that were forecast for then; as SVG."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape

import numpy as np

from exporter.backtest.axes import moment, number_marks, time_marks, time_title
from exporter.backtest.paths import Flags, Numbers, band, breaks, evenly, line, linear, lowest_and_highest

WIDTH, HEIGHT = 440, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 40
_MOST_DRAWN = 300
_REACH = 3.0
"""A band is drawn as far from the actual values as three times their own span."""
_FLATTEST = 1e-3
_TINY = 1e-30


@dataclass(frozen=True)
class View:
    """One series at one horizon."""

    label: str
    """Unique on the page, fit for an id."""
    title: str
    times: Numbers
    """[samples], epoch seconds"""
    values: Numbers
    """[samples]"""
    origins: Numbers
    """[origins], epoch seconds"""
    horizon: float
    """Seconds."""
    bands: Numbers
    """[origins, 3], the .5, .9 and .99 quantiles"""
    actual: Numbers
    """[origins]"""

    @property
    def due(self) -> Numbers:
        """[origins], epoch seconds that were forecast for."""
        return self.origins + self.horizon


@dataclass(frozen=True)
class _Scale:
    """From the data's units to the panel's."""

    x: Callable[[Numbers], Numbers]
    y: Callable[[Numbers], Numbers]


def panel(view: View) -> str:
    """Return the <svg> element; a forecast beyond the panel's reach is drawn at its edge."""
    view = _thinned(view)
    span = (float(view.origins[0]), float(view.due[-1]))
    seen = (view.times >= span[0]) & (view.times <= span[1])
    low, high = _extent(np.concatenate([view.values[seen], view.actual]), view.bands)
    scale = _Scale(linear(span, (_LEFT, WIDTH - _RIGHT)), linear((low, high), (HEIGHT - _BOTTOM, _TOP)))
    x, y = scale.x(view.due), scale.y(view.bands)
    lifted = breaks(view.due)
    inner = [
        *_axes(scale, span, (low, high)),
        f'<path class="outer" d="{band(x, y[:, 1], y[:, 2], lifted)}"/>',
        f'<path class="inner" d="{band(x, y[:, 0], y[:, 1], lifted)}"/>',
        f'<path class="median" d="{line(x, y[:, 0], lifted)}"/>',
        f'<path class="actual" d="{_actual(view, seen, scale)}"/>',
        *_exceeded(view, scale),
    ]
    return _svg(view, "".join(inner))


def _thinned(view: View) -> View:
    """Return the view with as many origins as can be told apart, evenly chosen."""
    keep = evenly(len(view.due), _MOST_DRAWN)
    return replace(view, origins=view.origins[keep], bands=view.bands[keep], actual=view.actual[keep])


def _extent(actual: Numbers, bands: Numbers) -> tuple[float, float]:
    low, high = float(actual.min()), float(actual.max())
    least = max(_FLATTEST * max(abs(low), abs(high)), _TINY) if low or high else 1.0
    reach = _REACH * max(high - low, least)
    known = np.nan_to_num(bands, nan=high, posinf=high + reach, neginf=low - reach)
    low = min(low, max(float(known.min()), low - reach))
    high = max(high, min(float(known.max()), high + reach))
    missing = max(least - (high - low), 0.08 * (high - low)) / 2
    return low - missing, high + missing


def _actual(view: View, seen: Flags, scale: _Scale) -> str:
    x, y = scale.x(view.times[seen]), scale.y(view.values[seen])
    run = np.append(0, np.cumsum(breaks(view.times[seen])))
    keep = lowest_and_highest(x, y)
    return line(x[keep], y[keep], np.diff(run[keep]) > 0)


def _exceeded(view: View, scale: _Scale) -> list[str]:
    """Return a mark for each actual value over its .99 quantile."""
    marks = []
    for at in np.flatnonzero(view.actual > view.bands[:, 2]).tolist():
        x, y = float(scale.x(view.due[at])), float(scale.y(view.actual[at]))
        told = f"{moment(view.due[at])}: {view.actual[at]:.6g}, over the .99 forecast {view.bands[at, 2]:.6g}"
        marks.append(f'<circle class="over" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{told}</title></circle>')
    return marks


def _axes(scale: _Scale, span: tuple[float, float], reach: tuple[float, float]) -> list[str]:
    base = HEIGHT - _BOTTOM
    lines, words = [], []
    for value, text in number_marks(*reach):
        y = float(scale.y(np.array(value)))
        lines.append(f"M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}")
        words.append(f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{text}</text>')
    for at, text in time_marks(*span):
        x = float(scale.x(np.array(at)))
        lines.append(f"M{x:.1f} {base}v4")
        anchor = "start" if x < _LEFT + 30 else "end" if x > WIDTH - _RIGHT - 30 else "middle"
        words.append(f'<text x="{x:.1f}" y="{base + 16}" text-anchor="{anchor}">{text}</text>')
    words.append(f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{time_title(*span)}</text>')
    words.append(f'<text x="12" y="{base / 2:.0f}" text-anchor="middle" transform="rotate(-90 12 {base / 2:.0f})">')
    words.append("value</text>")
    return [f'<path class="grid" d="{"".join(lines)}"/>', *words]


def _svg(view: View, inner: str) -> str:
    title, described = f"{view.label}-title", f"{view.label}-desc"
    over = int((view.actual > view.bands[:, 2]).sum())
    desc = (
        f"{len(view.due)} forecasts from {moment(view.due[0])} to {moment(view.due[-1])} and what came; "
        f"{over} values over the .99 quantile are marked."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{title} {described}"><title id="{title}">{escape(view.title)}</title>'
        f'<desc id="{described}">{desc}</desc>{inner}</svg>'
    )
