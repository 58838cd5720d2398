"""``cpp-exporter backtest``: how good would the forecast be, or have been, on these series?"""

import csv
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from exporter.durations import format_duration
from exporter.forecast import trial
from exporter.forecast.recordings import Recording, Samples, clusters, make, read_csv
from exporter.history.signals import LEVELS
from exporter.sources.files import RecordingError

_SPAN = 7 * 86400.0
_STEP = 60.0
"""What is asked of Prometheus: a week of minutes stays under its 11,000 points a series."""
_TIMEOUT = 60.0

FetchRange = Callable[[str, str, float, float, float, float], Mapping[str, tuple[Samples, Samples]]]
"""(url, query, start, end, step, timeout) to samples by series; raises OSError."""


@dataclass(frozen=True)
class PrometheusQuery:
    """A user's own history in place of a file."""

    url: str
    query: str
    fetch: FetchRange
    now: float
    """Epoch seconds; the week before it is read."""


@dataclass(frozen=True)
class Request:
    """The command line."""

    source: Path | PrometheusQuery
    output: Path
    horizons: tuple[float, ...] = (300.0, 900.0, 1800.0)
    """Seconds."""
    quantiles: tuple[float, ...] = LEVELS
    origins: int = 30
    test_from: float = 0.6


def run_backtest(request: Request) -> int:
    """Write the forecasts to ``request.output``, print a table, and return the exit code: 2 for bad input."""
    began, cpu = time.monotonic(), time.process_time()
    try:
        _check(request)
        levels = tuple(sorted({*request.quantiles, *LEVELS}))
        design = trial.Design(request.horizons, levels, request.origins, request.test_from)
        results = _results(_load(request.source, design), design)
        with request.output.open("w", encoding="utf-8", newline="") as stream:
            _write(stream, results, request, levels)
    except RecordingError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    _print_table(results, design)
    _print_cost(time.monotonic() - began, time.process_time() - cpu)
    return 0


def _refuse(message: str) -> int:
    print(f"cpp-exporter backtest: {message}", file=sys.stderr)  # noqa: T201 - the command's answer
    return 2


def _check(request: Request) -> None:
    if not request.horizons or min(request.horizons) <= 0:
        raise RecordingError("--horizons: give durations above zero, such as 5m,15m,30m")
    if not request.quantiles or not all(0 < level < 1 for level in request.quantiles):
        raise RecordingError("--quantiles: give numbers between 0 and 1, such as 0.5,0.9,0.99")
    if request.origins < 1:
        raise RecordingError("--origins: give at least 1")
    if not 0 < request.test_from < 1:
        raise RecordingError("--test-from: give a share between 0 and 1, such as 0.6")


def _load(source: Path | PrometheusQuery, design: trial.Design) -> list[Recording]:
    if isinstance(source, Path):
        return read_csv(source)
    start = source.now - _SPAN
    return _usable(source.fetch(source.url, source.query, start, source.now, _STEP, _TIMEOUT), design)


def _usable(ranges: Mapping[str, tuple[Samples, Samples]], design: trial.Design) -> list[Recording]:
    """Return the recordings that can be tried: a live system always has some series that only just began."""
    kept, reason = [], "it has no series; try it in Prometheus first"
    for name, (times, values) in ranges.items():
        try:
            recording = make(name, times, values)
            trial.targets(recording, design)
        except RecordingError as error:
            reason = str(error)
        else:
            kept.append(recording)
    if not kept:
        raise RecordingError(f"--query: nothing to forecast in the answer: {reason}")
    if len(kept) < len(ranges):
        left_out = f"{len(ranges) - len(kept)} of {len(ranges)} series are left out, for example: {reason}"
        print(f"backtest: {left_out}", file=sys.stderr)  # noqa: T201
    return kept


def _results(recordings: list[Recording], design: trial.Design) -> list[trial.Result]:
    groups = clusters(recordings)
    results: list[trial.Result] = []
    for number, group in enumerate(groups, start=1):
        results += trial.run(group, design, _Progress(f"part {number} of {len(groups)}, {len(group)} series"))
    names = {recording.name: place for place, recording in enumerate(recordings)}
    return sorted(results, key=lambda result: names[result.name])


class _Progress:
    """Says on stderr how far a part is, each tenth of it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tenth = 0

    def __call__(self, share: float) -> None:
        if int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            print(f"backtest: {self._what}: {self._tenth}0 %", file=sys.stderr, flush=True)  # noqa: T201


def _write(stream: TextIO, results: list[trial.Result], request: Request, levels: tuple[float, ...]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["series", "origin", "horizon_seconds", "quantile", "forecast", "actual"])
    for result in results:
        for at, origin in enumerate(result.origins.tolist()):
            for i, horizon in enumerate(request.horizons):
                for level in request.quantiles:
                    forecast = result.forecast[at, i, levels.index(level)]
                    row = (_plain(horizon), f"{level:g}", f"{forecast:.9g}", f"{result.actual[at, i]:.9g}")
                    writer.writerow([result.name, origin, *row])


def _plain(seconds: float) -> str:
    return str(int(seconds)) if seconds == int(seconds) else repr(seconds)


def _print_table(results: list[trial.Result], design: trial.Design) -> None:
    lines = [f"{len(results)} series, {sum(len(r.origins) for r in results)} origins; loss is against last value"]
    lines.append(f"{'horizon':>8} {'loss':>7} {'MAE ratio':>10} {'under .9':>9} {'under .99':>10}")
    for i, horizon in enumerate(design.horizons):
        loss, mae = _against_last(results, i, design.levels.index(0.5))
        shares = [_share_under(results, i, design.levels.index(level)) for level in LEVELS[1:]]
        lines.append(f"{format_duration(horizon):>8} {loss:7.3f} {mae:10.3f} {shares[0]:9.3f} {shares[1]:10.3f}")
    print("\n".join(lines))  # noqa: T201


def _against_last(results: list[trial.Result], i: int, median: int) -> tuple[float, float]:
    """Return the geometric mean of (e + .05 s) / (b + .05 s) over series that move, and the ratio of mean errors."""
    errors = np.array([np.abs(r.actual[:, i] - r.forecast[:, i, median]).mean() for r in results])
    naive = np.array([np.abs(r.actual[:, i] - r.last).mean() for r in results])
    pad = 0.05 * np.array([r.scale[i] for r in results])
    moving = naive + pad > 0
    ratios = (errors + pad)[moving] / (naive + pad)[moving]
    plain = errors[naive > 0] / naive[naive > 0]
    return (
        float(np.exp(np.log(np.maximum(ratios, 1e-12)).mean())) if moving.any() else 1.0,
        float(plain.mean()) if plain.size else 1.0,
    )


def _share_under(results: list[trial.Result], i: int, level: int) -> float:
    return float(np.mean(np.concatenate([r.actual[:, i] <= r.forecast[:, i, level] for r in results])))


def _print_cost(seconds: float, cpu: float) -> None:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(  # noqa: T201
        f"{seconds:.1f} s ({cpu:.1f} s CPU here), peak memory {own:.0f} MiB, of the training child {child:.0f} MiB"
    )
