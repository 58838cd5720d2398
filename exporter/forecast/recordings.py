"""Recorded series laid on even columns as the forecast sees them."""

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Grid, Integers
from exporter.sources.files import RecordingError, opened

Samples = Sequence[float] | NDArray[np.float64]

_ALIASES = {"ts": "timestamp"}
_COLUMNS = ("series", "timestamp", "value")
_FEWEST = 3
_LONGEST = 2_000_000
"""Columns from first to last sample: more means that a timestamp is wrong."""


@dataclass(frozen=True)
class Recording:
    """One series, in order of time, without repeated timestamps."""

    name: str
    timestamps: Integers
    """[samples], whole epoch seconds"""
    values: NDArray[np.float64]
    """[samples]"""
    step: float
    """Seconds, the median spacing"""

    @property
    def columns(self) -> Integers:
        """[samples], absolute number of the column that each sample falls into."""
        return np.rint(self.timestamps / self.step).astype(np.int64)


def make(name: str, timestamps: Samples, values: Samples) -> Recording:
    """Return the recording of raw samples: sorted, missing values dropped, of repeated timestamps the last kept."""
    times, samples = np.array(timestamps, np.int64), np.array(values, np.float64)
    times, samples = times[np.isfinite(samples)], samples[np.isfinite(samples)]
    order = np.argsort(times, kind="stable")
    times, samples = times[order], samples[order]
    keep = np.append(times[1:] != times[:-1], True)[: len(times)]
    times, samples = times[keep], samples[keep]
    if len(times) < _FEWEST:
        raise RecordingError(f"series {name!r} has {len(times)} samples; at least {_FEWEST} are needed")
    step = float(np.median(np.diff(times)))
    if (times[-1] - times[0]) / step > _LONGEST:
        raise RecordingError(
            f"series {name!r} spans {times[-1] - times[0]} s at steps of {step:g} s; mend its timestamps"
        )
    return Recording(name, times, samples, step)


def read_csv(path: Path) -> list[Recording]:
    """Return the series of a CSV with header series,timestamp,value (``.gz`` and ``.xz`` too); raise RecordingError."""
    with opened(path) as stream:
        samples = _samples(path, csv.reader(stream))
    if not samples:
        raise RecordingError(f"{path}: holds no samples")
    try:
        return [make(name, times, values) for name, (times, values) in samples.items()]
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def _samples(path: Path, rows: Iterator[list[str]]) -> dict[str, tuple["array[int]", "array[float]"]]:
    header = [_ALIASES.get(name.strip(), name.strip()) for name in next(rows, [])]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise RecordingError(f"{path}:1: header lacks {', '.join(missing)}; write series,timestamp,value")
    series, timestamp, value = (header.index(name) for name in _COLUMNS)
    samples: dict[str, tuple[array[int], array[float]]] = {}
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            times, values = samples.setdefault(row[series], (array("q"), array("d")))
            times.append(_whole(row[timestamp]))
            values.append(float(row[value] or math.nan))
        except (ValueError, IndexError, OverflowError) as error:
            raise RecordingError(f"{path}:{number}: {','.join(row)!r} is no series,timestamp,value") from error
    return samples


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if number != int(number):
            raise
        return int(number)


def clusters(recordings: list[Recording]) -> list[list[Recording]]:
    """Return the recordings that can share columns: the same step, and spans that overlap."""
    groups: list[list[Recording]] = []
    reach = -math.inf
    for recording in sorted(recordings, key=lambda r: (r.step, r.timestamps[0])):
        if not groups or groups[-1][0].step != recording.step or recording.timestamps[0] > reach:
            groups.append([])
            reach = -math.inf
        groups[-1].append(recording)
        reach = max(reach, float(recording.timestamps[-1]))
    return groups


def lay_out(cluster: list[Recording]) -> Grid:
    """Return the grid of a cluster, a row and life per recording; the newest sample in a column stands."""
    step = cluster[0].step
    start = min(int(recording.columns[0]) for recording in cluster)
    stop = max(int(recording.columns[-1]) for recording in cluster) + 1
    values = np.full((len(cluster), 1, stop - start), np.nan, np.float32)
    for row, recording in enumerate(cluster):
        values[row, 0, recording.columns - start] = recording.values
    lives = np.arange(len(cluster))
    return Grid(step, (stop - 1) * step, lives, lives, values, values, np.zeros(values.shape, np.bool_))
