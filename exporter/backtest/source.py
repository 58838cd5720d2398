"""What is tried: the series of a file, or of a query to the user's own Prometheus."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.backtest.complaints import complaint, without_password
from exporter.backtest.terminal import Progress, plain, say
from exporter.durations import format_duration
from exporter.forecast import trial
from exporter.forecast.recordings import Recording, Samples, make, read_samples
from exporter.sources.files import RecordingError

DEFAULT_SPAN = 7 * 86400.0
_LONGEST_SPAN = 366 * 86400.0
_STEP = 60.0
_TIMEOUT = 60.0
_FIRST_PART = 10
_LONGEST_PART = 1440
_POINTS = 500_000
"""Samples in one answer, about: each takes some 200 bytes before it becomes a column."""
_MOST_SERIES = 500
_MOST_ANSWERED = 20_000

FetchRange = Callable[[str, str, float, float, float, float], Mapping[str, tuple[Samples, Samples]]]
"""(url, query, start, end, step, timeout) to samples by series; raises OSError."""
Parts = dict[str, list[tuple[Samples, Samples]]]


@dataclass(frozen=True)
class PrometheusQuery:
    """A user's own history in place of a file."""

    url: str
    query: str
    fetch: FetchRange
    now: float
    """Epoch seconds."""
    span: float = DEFAULT_SPAN
    """Seconds before ``now`` that are read, a sample a minute."""


def name_of(source: Path | PrometheusQuery) -> str:
    """Return what a reader is told the series came from."""
    return str(source) if isinstance(source, Path) else f"{source.query} on {without_password(source.url)}"


def load(source: Path | PrometheusQuery, design: trial.Design) -> list[Recording]:
    """Return the recordings that can be tried, and say which cannot; raise RecordingError where none can."""
    if isinstance(source, Path):
        return _usable(read_samples(source), design, f"{source}: ")
    if not _STEP <= source.span <= _LONGEST_SPAN:
        raise RecordingError("--span: give a time from 1m to 366d")
    return _usable(_ask(source), design, "--query: ")


def _usable(samples: Mapping[str, tuple[Samples, Samples]], design: trial.Design, where: str) -> list[Recording]:
    """Return the recordings that can be tried: a live system always has some series that only just began."""
    kept, reason = [], "it has no series; try it in Prometheus first"
    for name, (times, values) in samples.items():
        try:
            recording = make(name, times, values)
            trial.targets(recording, design)
        except RecordingError as error:
            reason = str(error)
        else:
            kept.append(recording)
    if not kept:
        raise RecordingError(f"{where}nothing to forecast: {plain(reason)}")
    if len(kept) < len(samples):
        say(f"{len(samples) - len(kept)} of {len(samples)} series are left out, for example: {reason}")
    _tell_of_strays(kept)
    return kept


def _tell_of_strays(kept: list[Recording]) -> None:
    stray = [recording for recording in kept if recording.strays]
    if stray:
        first = f"{stray[0].strays} samples of {stray[0].name!r}"
        say(f"{first} lie far from its others in time and are left out; so for {len(stray)} of {len(kept)} series")


def _ask(source: PrometheusQuery) -> dict[str, tuple[Samples, Samples]]:
    """Return the samples by series, asked for in parts from the newest back, so that what lives now comes first."""
    parts: Parts = {}
    refused: set[str] = set()
    progress = Progress(f"asking Prometheus for {format_duration(source.span)}")
    end, columns, left = math.floor(source.now), _FIRST_PART, int(source.span // _STEP) + 1
    total = left
    while left > 0:
        columns = min(columns, left)
        answered = _fetch(source, end - (columns - 1) * _STEP, end)
        refused |= _add(parts, answered)
        end, left = end - round(columns * _STEP), left - columns
        columns = min(max(_POINTS // max(len(answered), 1), _FIRST_PART), _LONGEST_PART)
        progress(1 - left / total)
    if refused:
        say(f"{len(parts)} of {len(parts) + len(refused)} series are tried; narrow --query to choose them")
    return {name: _joined(pieces) for name, pieces in parts.items()}


def _fetch(source: PrometheusQuery, start: float, end: float) -> Mapping[str, tuple[Samples, Samples]]:
    try:
        answered = source.fetch(source.url, source.query, start, end, _STEP, _TIMEOUT)
    except OSError as error:
        raise RecordingError(complaint(error, source.url)) from error
    if len(answered) > _MOST_ANSWERED:
        raise RecordingError(f"--query: {len(answered)} series are too many; narrow it to {_MOST_SERIES}")
    return answered


def _add(parts: Parts, answered: Mapping[str, tuple[Samples, Samples]]) -> set[str]:
    """Take in one part of the answer; return the names for which there is no room."""
    refused = set()
    for name in sorted(answered):
        if name in parts or len(parts) < _MOST_SERIES:
            parts.setdefault(name, []).append(answered[name])
        else:
            refused.add(name)
    return refused


def _joined(pieces: list[tuple[Samples, Samples]]) -> tuple[Samples, Samples]:
    def one(place: int) -> NDArray[np.float64]:
        return np.concatenate([np.asarray(piece[place], np.float64) for piece in reversed(pieces)])

    return one(0), one(1)
