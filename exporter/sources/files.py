"""Recordings on disk: CSV, plain or compressed."""

import csv
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError, csv.Error)
"""What reading a file that is missing, cut short, corrupt or no CSV may raise."""


class RecordingError(Exception):
    """One line that names the recording, the place and what is wrong."""


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Open a CSV file (.gz and .xz too) for a csv reader; raise RecordingError if it cannot be read to its end."""
    try:
        with _open(path) as file:
            yield file
    except _BROKEN as error:
        raise RecordingError(f"{path}: cannot be read ({error}); give a CSV file, plain, .gz or .xz") from error


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")
