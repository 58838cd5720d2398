"""Learned things as named arrays: how they nest, and the checks that keep another program's arrays out.

A part that is remembered offers ``export() -> Arrays``, which may hand out live arrays since they are copied before
the next turn, and ``restore(arrays)``, which raises MismatchError where they are not its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

_ENCODING = ("utf-8", "surrogatepass")
"""Half a pair, which a source may send, must not end the saving."""


class MismatchError(Exception):
    """What was saved does not fit this program or its configuration; one line says where."""


class Remembering(Protocol):
    """A part with something to save."""

    def export(self) -> Arrays:
        """Return what is to be saved."""
        ...


class _Part(Mapping[str, NDArray[Any]]):
    """The arrays under one name, read when they are asked for."""

    def __init__(self, arrays: Arrays, prefix: str) -> None:
        self._arrays = arrays
        self._prefix = prefix

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        start = len(self._prefix)
        return (name[start:] for name in self._arrays if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def under(part: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return ``arrays`` by their names inside ``part``."""
    return {f"{part}/{name}": array for name, array in arrays.items()}


def exported(parts: Mapping[str, Remembering]) -> dict[str, NDArray[Any]]:
    """Return what all ``parts`` have to save."""
    return {name: array for part, it in parts.items() for name, array in under(part, it.export()).items()}


def within(part: str, arrays: Arrays) -> Arrays:
    """Return what ``under`` put into ``part``."""
    return _Part(arrays, f"{part}/")


def fitting(arrays: Arrays, name: str, like: NDArray[Any], rows: int | None = None, axis: int = 0) -> NDArray[Any]:
    """Return ``arrays[name]`` if it has the type and shape of ``like``, with ``rows`` along ``axis`` where given.

    The array is the caller's own. Raise MismatchError.
    """
    shape = list(like.shape)
    if rows is not None:
        shape[axis] = rows
    if name not in arrays:
        raise MismatchError(f"{name} is missing")
    array = arrays[name]
    if array.dtype != like.dtype or array.shape != tuple(shape):
        raise MismatchError(
            f"{name} is {array.dtype}{list(array.shape)}, not {like.dtype}{shape}: written by another version"
        )
    return array


def spelled(name: str, words: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return ``words`` as what ``texts`` reads: their bytes one after another, and where each ends.

    An array of texts would give every one the room of the longest.
    """
    encoded = [word.encode(*_ENCODING) for word in words]
    ends = np.cumsum([len(word) for word in encoded], dtype=np.int64)
    return under(name, {"bytes": np.frombuffer(b"".join(encoded), np.uint8), "ends": ends})


def texts(arrays: Arrays, name: str) -> list[str]:
    """Return the texts that were ``spelled`` under ``name``; raise MismatchError."""
    bounds = [0, *numbers(arrays, f"{name}/ends")]
    if bounds != sorted(bounds):
        raise MismatchError(f"{name} holds no texts (one ends before it begins)")
    encoded = fitting(arrays, f"{name}/bytes", np.empty(0, np.uint8), bounds[-1]).tobytes()
    try:
        return [encoded[start:end].decode(*_ENCODING) for start, end in pairwise(bounds)]
    except ValueError as error:
        raise MismatchError(f"{name} holds no texts ({error})") from error


def numbers(arrays: Arrays, name: str, count: int | None = None) -> list[int]:
    """Return a list of whole numbers, of length ``count`` where given; raise MismatchError."""
    length = count if count is not None else len(arrays[name]) if name in arrays else 0
    return [int(number) for number in fitting(arrays, name, np.empty(length, np.int64))]
