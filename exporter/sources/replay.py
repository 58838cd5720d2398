"""Recordings of samples → what the sources would have served, step by step."""

import csv
import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.sources.exposition import Family, Samples, escape
from exporter.sources.families import CONNECTIONS, PAIRS, SYSCALLS
from exporter.sources.files import RecordingError, opened

HEADER = ["timestamp", "container", "metric", "label", "value"]
_LATEST = 1e11
"""Epoch seconds, the year 5138; milliseconds since the epoch are beyond it."""
_LABEL_NAMES = {SYSCALLS: "syscall", CONNECTIONS: "protocol"}


@dataclass(frozen=True)
class Row:
    """One sample of a recording."""

    timestamp: float
    container: str
    metric: str
    label: str
    value: float


def read_recording(path: Path, longest_gap: float) -> Iterator[Row]:
    """Yield the rows of a CSV file (.gz and .xz too), in the order of time.

    Raise RecordingError, also for a gap of over ``longest_gap`` seconds between two of them: some timestamp is wrong.
    """
    with opened(path) as file:
        yield from _rows(path, csv.reader(file), longest_gap)


def _rows(path: Path, lines: Iterator[list[str]], longest_gap: float) -> Iterator[Row]:
    header = next(lines, [])
    if header != HEADER:
        raise RecordingError(f"{path}: line 1: columns are {','.join(header)!r}; write {','.join(HEADER)}")
    before = math.nan
    for number, cells in enumerate(lines, 2):
        try:
            row = Row(float(cells[0]), cells[1], cells[2], cells[3], float(cells[4]))
        except (ValueError, IndexError) as error:
            raise RecordingError(f"{path}: line {number}: {','.join(cells)!r} is no sample ({error})") from error
        if not abs(row.timestamp) < _LATEST:
            raise RecordingError(f"{path}: line {number}: {cells[0]!r} is no time; write epoch seconds")
        if row.timestamp < before:
            raise RecordingError(f"{path}: line {number}: goes back in time; sort the file by timestamp")
        if row.timestamp - before > longest_gap:
            raise RecordingError(
                f"{path}: line {number}: comes {row.timestamp - before:.0f} s after the line before; "
                "mend its timestamp, or choose a longer --step"
            )
        before = row.timestamp
        yield row


def steps(rows: Iterable[Row], step: float) -> Iterator[tuple[float, Samples]]:
    """Yield the end of each step and the newest samples until then, as a source would have served them."""
    served: dict[str, dict[bytes, tuple[float, float]]] = {}
    end: float | None = None
    for row in rows:
        while end is not None and row.timestamp > end:
            yield end, _samples(served)
            end = round(end + step, 6)
        if end is None:
            end = np.ceil(row.timestamp / step) * step
        served.setdefault(row.metric, {})[_key(row)] = (row.value, row.timestamp)
    if end is not None:
        yield end, _samples(served)


def _key(row: Row) -> bytes:
    """Write the labels as cAdvisor would; the id is made from the name, since recordings have none."""
    digest = hashlib.sha256(row.container.encode()).hexdigest()
    return f'{{id="/docker/{digest}",name="{escape(row.container)}"{_label(row)}}}'.encode()


def _label(row: Row) -> str:
    if row.metric == PAIRS:
        first, _, second = row.label.partition(",")
        return f',from="{escape(first)}",to="{escape(second)}"'
    return f',{_LABEL_NAMES.get(row.metric, "device")}="{escape(row.label)}"' if row.label else ""


def _samples(served: dict[str, dict[bytes, tuple[float, float]]]) -> Samples:
    samples = {}
    for metric, series in served.items():
        values, stamps = np.array(list(series.values())).T
        samples[metric] = Family(list(series), values, stamps, _text(series) if metric == PAIRS else b"")
    return samples


def _text(series: dict[bytes, tuple[float, float]]) -> bytes:
    return b"".join(PAIRS.encode() + b"%s %d %d\n" % (key, value, 1000 * at) for key, (value, at) in series.items())
