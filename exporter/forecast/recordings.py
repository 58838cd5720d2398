"""Recorded series laid on even columns as the forecast sees them."""

import csv
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
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
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799
"""Epoch seconds of the years 1 and 9999; milliseconds lie beyond."""
_LONGEST_GAP = 7 * 86_400
_LONGEST_GAP_STEPS = 1000
_LARGEST = 1e30
"""Of single-precision columns; their squares are not needed beyond it."""
_MOST_CELLS = 20_000_000


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
    strays: int = 0
    """Samples left out because a clock had jumped: they lie far from the others."""

    @property
    def columns(self) -> Integers:
        """[samples], absolute number of the column that each sample falls into."""
        return np.rint(self.timestamps / self.step).astype(np.int64)


def make(name: str, timestamps: Samples, values: Samples) -> Recording:
    """Return the recording of raw samples; raise RecordingError where too few are left.

    They are sorted. Dropped are values that are no numbers (NaN, infinite, beyond 1e30), all but the last of a
    repeated timestamp, and strays: whatever a gap of a week (or 1,000 steps) parts from the longest piece.
    """
    times, samples = np.asarray(timestamps, np.float64), np.asarray(values, np.float64)
    numbers = np.abs(samples) <= _LARGEST
    times, samples = times[numbers], samples[numbers]
    dated = (times >= _EARLIEST) & (times <= _LATEST)
    if len(times) and not dated.any():
        raise RecordingError(f"series {name!r} has timestamps such as {times[0]:.0f}; give seconds since 1970")
    strays = len(times) - int(dated.sum())
    seconds, samples = _in_order(times[dated].astype(np.int64), samples[dated])
    longest = _longest_piece(seconds)
    strays += len(seconds) - (longest.stop - longest.start)
    return _checked(name, seconds[longest], samples[longest], strays)


def _in_order(times: Integers, samples: NDArray[np.float64]) -> tuple[Integers, NDArray[np.float64]]:
    order = np.argsort(times, kind="stable")
    times, samples = times[order], samples[order]
    keep = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[keep], samples[keep]


def _longest_piece(times: Integers) -> slice:
    """Return the longest run without a gap that only a jumping clock explains; of equals the newest."""
    if len(times) < _FEWEST:
        return slice(0, len(times))
    gaps = np.diff(times)
    cuts = np.flatnonzero(gaps > max(_LONGEST_GAP, _LONGEST_GAP_STEPS * float(np.median(gaps)))) + 1
    bounds = np.concatenate([[0], cuts, [len(times)]])
    piece = len(bounds) - 2 - int(np.argmax(np.diff(bounds)[::-1]))
    return slice(int(bounds[piece]), int(bounds[piece + 1]))


def _checked(name: str, times: Integers, samples: NDArray[np.float64], strays: int) -> Recording:
    if len(times) < _FEWEST:
        raise RecordingError(f"series {name!r} has {len(times)} samples; at least {_FEWEST} are needed")
    step = float(np.median(np.diff(times)))
    if (times[-1] - times[0]) / step > _LONGEST:
        raise RecordingError(
            f"series {name!r} spans {times[-1] - times[0]} s at steps of {step:g} s; mend its timestamps"
        )
    return Recording(name, times, samples, step, strays)


def read_csv(path: Path) -> list[Recording]:
    """Return the series of a CSV, as ``read_samples``; raise RecordingError if one of them is too short."""
    found = read_samples(path)
    try:
        return [make(name, times, values) for name, (times, values) in found.items()]
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def read_samples(path: Path) -> Mapping[str, tuple[Samples, Samples]]:
    """Return (timestamps, values) by series of a CSV with header series,timestamp,value (``.gz`` and ``.xz`` too).

    Raise RecordingError, which names the place, if the file cannot be read to its end or holds no samples.
    """
    with opened(path) as stream:
        samples = _samples(path, csv.reader(stream))
    if not samples:
        raise RecordingError(f"{path}: holds no samples")
    return samples


def _samples(path: Path, rows: Iterator[list[str]]) -> dict[str, tuple["array[int]", "array[float]"]]:
    header = [_ALIASES.get(name, name) for name in (cell.strip("\ufeff \t") for cell in next(rows, []))]
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
    """Return the recordings that can share columns: the same step, spans that overlap, in all not too many cells."""
    groups: list[list[Recording]] = []
    reach = -math.inf
    for recording in sorted(recordings, key=lambda r: (r.step, r.timestamps[0])):
        joins = bool(groups) and groups[-1][0].step == recording.step and recording.timestamps[0] <= reach
        far = max(reach, float(recording.timestamps[-1]))
        if joins and (far - groups[-1][0].timestamps[0]) / recording.step * (len(groups[-1]) + 1) <= _MOST_CELLS:
            groups[-1].append(recording)
            reach = far
        else:
            groups.append([recording])
            reach = float(recording.timestamps[-1])
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
