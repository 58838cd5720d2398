"""The answer of ``backtest``: a table in the terminal, and a CSV with every forecast."""

import csv
import math
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from exporter.backtest.scores import Scores, geometric_mean, mean, pooled
from exporter.backtest.terminal import plain
from exporter.durations import format_duration
from exporter.forecast.trial import Design, Result

_WORST = 5
_NAME = 100


def write_forecasts(
    stream: TextIO, results: Sequence[Result], horizons: Sequence[float], levels: dict[float, int]
) -> None:
    """Write a row per series, origin, horizon and quantile; ``levels`` gives each one's place in a forecast."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["series", "origin", "horizon_seconds", "quantile", "forecast", "actual"])
    for result in results:
        for at, origin in enumerate(result.origins.tolist()):
            for i, horizon in enumerate(horizons):
                for level, place in levels.items():
                    forecast = f"{result.forecast[at, i, place]:.9g}"
                    row = (_seconds(horizon), f"{level:g}", forecast, f"{result.actual[at, i]:.9g}")
                    writer.writerow([result.name, origin, *row])


def _seconds(horizon: float) -> str:
    return str(int(horizon)) if horizon == int(horizon) else repr(horizon)


def number(ratio: float) -> str:
    """Return three decimals, or a dash where there is nothing to compare."""
    return f"{ratio:.3f}" if math.isfinite(ratio) else "-"


def table(results: Sequence[Result], scores: Scores, design: Design) -> str:
    """Return the table of horizons, and of the worst series where there is more than one."""
    lines = [
        f"{len(results)} series, {scores.origins.sum()} origins; loss is against repeating the last value, under 1 is "
        "better; - where nothing moved",
        f"{'horizon':>8} {'loss':>7} {'MAE ratio':>10} {'under .9':>9} {'under .99':>10}",
    ]
    shares = pooled(scores)
    for i, horizon in enumerate(design.horizons):
        loss, mae = number(geometric_mean(scores.loss[:, i])), number(mean(scores.mae_ratio[:, i]))
        lines.append(f"{format_duration(horizon):>8} {loss:>7} {mae:>10} {shares[i, 0]:9.3f} {shares[i, 1]:10.3f}")
    return "\n".join(lines + (_worst(results, scores) if len(results) > 1 else []))


def _worst(results: Sequence[Result], scores: Scores) -> list[str]:
    """Return the lines of the series with the highest loss; their names come last, as they may be long."""
    shown = scores.worst_first[:_WORST]
    heading = f"worst {len(shown)} of {len(results)} series" if len(shown) < len(results) else "series, worst first"
    lines = [f"{heading}, all horizons together:", f"{'loss':>8} {'under .9':>9} {'under .99':>10}  series"]
    loss, under = scores.series_loss, np.mean(scores.under, axis=1)
    for row in shown.tolist():
        name = plain(results[row].name, _NAME)
        lines.append(f"{number(loss[row]):>8} {under[row, 0]:9.3f} {under[row, 1]:10.3f}  {name}")
    return lines
