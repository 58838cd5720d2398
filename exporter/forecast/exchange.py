"""What parent and training child hand each other: a versioned npz of named arrays, to which each task adds its own."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Raised whenever the meaning of an array changes: a child left over from another release must not be believed."""

Arrays = dict[str, NDArray[Any]]

_UNREADABLE = (
    *(ValueError, TypeError, AttributeError, KeyError, EOFError, OSError),
    *(RuntimeError, MemoryError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What numpy and zipfile raise for bytes that are damaged."""


class NonsenseError(Exception):
    """What came is not what was asked for."""


def write(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return ``arrays`` as an npz with the version in it."""
    stream = io.BytesIO()
    named: dict[str, Any] = {"version": np.array(VERSION), **arrays}
    np.savez(stream, **named)
    return stream.getvalue()


def read(payload: bytes) -> Arrays:
    """Return the arrays in ``payload``; raise NonsenseError where it is no npz of this version."""
    try:
        with np.load(io.BytesIO(payload)) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise NonsenseError(f"is no npz: {error}") from error
    version = arrays.pop("version", np.array(-1))
    if version.shape != () or version != VERSION:
        raise NonsenseError(f"has version {version}, not {VERSION}")
    return arrays
