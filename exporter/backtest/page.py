"""The page that ``--plot`` writes: one file that loads nothing, well-formed as XML too."""

import re
from collections.abc import Sequence
from html import escape

import numpy as np

from exporter.backtest.axes import moment
from exporter.backtest.panel import View, panel
from exporter.backtest.report import number
from exporter.backtest.scores import Scores, geometric_mean, mean, pooled
from exporter.backtest.style import STYLE
from exporter.durations import format_duration
from exporter.forecast.recordings import Recording
from exporter.forecast.trial import Design, Result
from exporter.history.signals import LEVELS

_MOST_SERIES = 24
_MOST_PANELS = 96
_LONGEST_NAME = 300
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = """<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>Backtest of {source}</title>
<style>
{style}</style>
</head>
<body>
<h1>How good the forecast would have been</h1>
<p class="source"><bdi>{source}</bdi></p>
"""
_SWATCH = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 12" aria-hidden="true">'
_LEGEND = f"""<p class="legend">
<span>{_SWATCH}<path class="actual" d="M0 6L24 6"/></svg> what came</span>
<span>{_SWATCH}<path class="median" d="M0 6L24 6"/></svg> median forecast</span>
<span>{_SWATCH}<path class="inner" d="M0 1H24V11H0Z"/></svg> .5 to .9</span>
<span>{_SWATCH}<path class="outer" d="M0 1H24V11H0Z"/></svg> .9 to .99</span>
<span>{_SWATCH}<circle class="over" cx="12" cy="6" r="3"/></svg> over .99</span>
</p>
<p>Each forecast stands at the time it was made for; between two of them the lines are only joined. A panel shows at
most 300 of them, evenly chosen, and cuts bands that reach far beyond the values. For more of them, raise
<code>--origins</code>.</p>
"""


def page(
    source: str, recordings: Sequence[Recording], results: Sequence[Result], scores: Scores, design: Design
) -> str:
    """Return the HTML; ``recordings``, ``results`` and ``scores`` are of the same series in the same order."""
    chosen = _chosen(scores, len(design.horizons))
    parts = [_HEAD.format(source=_text(source), style=STYLE), _summary(results, scores, design), _LEGEND]
    parts.append(f"<h2>Series, highest loss first</h2>\n<p>{_said_of_choice(len(chosen), len(results))}</p>\n")
    parts += [_series(number, recordings[number], results[number], scores, design) for number in chosen]
    return "".join([*parts, "</body>\n</html>\n"])


def _text(name: str) -> str:
    """Return ``name``, whatever it holds, as text of the page."""
    cut = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return escape(_NOT_XML.sub("\ufffd", cut))


def _chosen(scores: Scores, horizons: int) -> list[int]:
    """Return which series are drawn, in order of loss: all, or else as many worst as best."""
    order = [int(row) for row in scores.worst_first]
    room = max(min(_MOST_SERIES, _MOST_PANELS // horizons), 1)
    return order if len(order) <= room else order[: room - room // 2] + order[len(order) - room // 2 :]


def _said_of_choice(drawn: int, known: int) -> str:
    if drawn == known:
        return "All are drawn." if known > 1 else "There is one."
    best = f" and the {drawn // 2} of lowest" if drawn > 1 else ""
    return f"{drawn} of {known} are drawn: the {drawn - drawn // 2} of highest{best} loss."


def _summary(results: Sequence[Result], scores: Scores, design: Design) -> str:
    begin, end = min(r.origins[0] for r in results), max(r.origins[-1] for r in results)
    shares, rows = pooled(scores), []
    for i, horizon in enumerate(design.horizons):
        loss, mae = number(geometric_mean(scores.loss[:, i])), number(mean(scores.mae_ratio[:, i]))
        cells = (loss, mae, number(shares[i, 0]), number(shares[i, 1]))
        rows.append(
            f'<tr><th scope="row">{format_duration(horizon)}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'
        )
    return (
        f"<table>\n<caption>{len(results)} series, {scores.origins.sum()} origins from {moment(begin)} to {moment(end)}"
        '</caption>\n<thead><tr><th scope="col">horizon</th><th scope="col">loss</th><th scope="col">MAE ratio</th>'
        '<th scope="col">under .9</th><th scope="col">under .99</th></tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody>\n</table>\n"
        "<p>Loss and MAE ratio compare with repeating the last value: under 1 is better; a dash: nothing moved. "
        "The shares of values under the quantiles are best near .9 and .99; few origins make them rough.</p>\n"
    )


def _series(row: int, recording: Recording, result: Result, scores: Scores, design: Design) -> str:
    places = [design.levels.index(level) for level in LEVELS]
    figures = []
    for i, horizon in enumerate(design.horizons):
        ahead = format_duration(horizon)
        view = View(
            f"s{row}h{i}",
            f"{_NOT_XML.sub('?', recording.name[:_LONGEST_NAME])}, {ahead} ahead",
            recording.timestamps.astype(np.float64),
            recording.values,
            result.origins.astype(np.float64),
            horizon,
            result.forecast[:, i, places],
            result.actual[:, i],
        )
        under = " and ".join(number(share) for share in scores.under[row, i])
        said = f"{ahead} ahead: loss {number(scores.loss[row, i])}; {under} under .9 and .99"
        figures.append(f"<figure><figcaption>{said}</figcaption>{panel(view)}</figure>\n")
    heading = (
        f"<h3><bdi>{_text(recording.name)}</bdi></h3>\n<p>loss {number(scores.series_loss[row])}, all horizons</p>\n"
    )
    return f'<section>\n{heading}<div class="panels">\n{"".join(figures)}</div>\n</section>\n'
