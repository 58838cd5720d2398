"""The recorded series that forecasts are measured on, read from the folder of public recordings."""

import csv
import gzip
import io
import lzma
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from exporter.forecast.recordings import Recording, make, read_csv

_BITBRAINS = ("cpu_mhz", "mem_kb", "net_rx_kbs", "net_tx_kbs")
_NEZHA = ("cpu_m", "mem_mi", "net_rx_b", "net_tx_b")
_NEZHA_FILES = ("dev_2022-08-22.csv.gz", "dev_2023-01-29.csv.gz")
_TOO_LATE = 1_800_000_000
_OFF_BY = 200_000_000
"""Some timestamps of nezha_pods lie this many seconds in the future."""


class NoDataError(Exception):
    """A set's file is not in the folder."""


def read(data: Path, name: str) -> list[Recording]:
    """Return the series of one of SETS, in the order of the file; raise NoDataError."""
    folder = data / name
    try:
        return SETS[name](folder)
    except FileNotFoundError as error:
        raise NoDataError(f"{error.filename} is absent; give the folder of recordings with --data") from error


def thin(recordings: list[Recording], most: int | None) -> list[Recording]:
    """Return ``most`` of the recordings, evenly spaced; all for None."""
    if most is None or most >= len(recordings):
        return recordings
    return [recordings[i] for i in np.linspace(0, len(recordings) - 1, most).round().astype(int)]


def _crane(folder: Path) -> list[Recording]:
    path = folder / "dev.csv.xz"
    if not path.exists():
        raise FileNotFoundError(2, "absent", str(path))
    return read_csv(path)


def _bitbrains(folder: Path) -> list[Recording]:
    held = np.load(io.BytesIO(lzma.decompress((folder / "dev.npz.xz").read_bytes())))
    metrics = list(held["metrics"])
    return [
        make(f"{metric}/{vm}", held["time"], held["x"][row, metrics.index(metric)])
        for metric in _BITBRAINS
        for row, vm in enumerate(held["vm"])
    ]


def _nezha(folder: Path) -> list[Recording]:
    found = []
    for file in _NEZHA_FILES:
        with gzip.open(folder / file, "rt", encoding="utf-8") as stream:
            rows = ((row["pod"], _mended(int(row["ts"])), row) for row in csv.DictReader(stream))
            found += _grouped((f"{metric}/{pod}", at, row[metric]) for pod, at, row in rows for metric in _NEZHA)
    return found


def _mended(timestamp: int) -> int:
    return timestamp - _OFF_BY if timestamp > _TOO_LATE else timestamp


def _alibaba(folder: Path) -> list[Recording]:
    with lzma.open(folder / "dev.csv.xz", "rt", encoding="utf-8") as stream:
        return _grouped(_alibaba_samples(csv.DictReader(stream)))


def _alibaba_samples(rows: Iterable[dict[str, str]]) -> Iterator[tuple[str, int, str]]:
    for row in rows:
        yield row["container_ip"], int(row["t"]), row["value"]


def _grouped(samples: Iterable[tuple[str, int, str]]) -> list[Recording]:
    series: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for name, at, value in samples:
        series[name][0].append(at)
        series[name][1].append(float(value or "nan"))
    return [make(name, times, values) for name, (times, values) in series.items()]


SETS = {
    "crane_dsp": _crane,
    "bitbrains_rnd": _bitbrains,
    "nezha_pods": _nezha,
    "alibaba2026_pod_mem": _alibaba,
}
