"""One file of plain arrays, replaced as a whole: a zip of .npy members, as numpy.load reads it, and a page about them.

The members' checksums and the directory at the end of the file tell damage; nothing in it is ever executed.
"""

import json
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from exporter.persist.arrays import Arrays, MismatchError

About = Mapping[str, Any]
Copy = Callable[[NDArray[Any]], bytes]
"""Returns a piece's bytes in C order; may raise to give up."""

_ABOUT = "about.json"
_PIECE = 2**22
"""Bytes that are copied at a time."""
_UNFINISHED = ".new"
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, KeyError, ValueError, EOFError, RuntimeError)
"""What zipfile and json raise over half a file, or one that somebody else wrote; OSError for a place beyond its end."""


class DamagedError(Exception):
    """The file cannot be read as what it should be; one line says why."""


class _Members(Mapping[str, NDArray[Any]]):
    """The arrays of an open file, read when they are asked for; each time anew, so that they are the caller's own."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}

    def __getitem__(self, name: str) -> NDArray[Any]:
        with self._archive.open(self._names[name]) as member:
            try:
                array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
            except ValueError as error:
                raise MismatchError(f"{name} holds no plain array ({error})") from error
        return array

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@contextmanager
def opened(path: Path) -> Iterator[tuple[About, Arrays]]:
    """Return what the file says about itself, and its arrays; raise DamagedError, or OSError if it cannot be read."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        try:
            archive = stack.enter_context(zipfile.ZipFile(file))
            about = _checked(archive)
        except _UNREADABLE as error:
            raise DamagedError(f"it is cut short or no state at all ({error})") from error
        yield about, _Members(archive)


def _checked(archive: zipfile.ZipFile) -> About:
    broken = archive.testzip()
    if broken is not None:
        raise ValueError(f"the checksum of {broken} is wrong")
    about = json.loads(archive.read(_ABOUT))
    if not isinstance(about, dict):
        raise ValueError(f"{_ABOUT} holds {type(about).__name__}")
    return about


def write(path: Path, about: About, arrays: Arrays, copy: Copy) -> int:
    """Put ``about`` and ``arrays`` in the place of ``path``, wholly or not at all; return the size in bytes.

    Raise OSError, and whatever ``copy`` raises; the file at ``path`` is then as it was.
    """
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=_UNFINISHED, delete=False) as file:
        try:
            _fill(file, about, arrays, copy)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    _sync_directory(path.parent)
    return size


def remove_unfinished(directory: Path) -> None:
    """Remove what a process that was killed while it wrote has left."""
    for path in directory.glob(f"tmp*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def _fill(file: IO[bytes], about: About, arrays: Arrays, copy: Copy) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_ABOUT, json.dumps(about))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
                npy.write_array_header_1_0(member, header)
                for piece in _pieces(array):
                    member.write(copy(piece))


def _pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    row = max(array.itemsize * math.prod(array.shape[1:]), 1)
    step = max(_PIECE // row, 1)
    return (array[start : start + step] for start in range(0, len(array), step))


def _sync_directory(directory: Path) -> None:
    """Make the new name last: without this a power cut may leave the old file, or none."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
