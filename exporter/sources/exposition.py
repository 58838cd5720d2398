"""Prometheus text → columns: only the wanted families, each line cut once, labels parsed once per new series.

A node's text is mostly families that nobody here wants. Families announce themselves with a TYPE line (cAdvisor,
kubelets and cpp-probe all write one), so unwanted ones are stepped over without a look at their lines.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MARK = b"\n# TYPE "
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_ESCAPE = re.compile(r'\\[\\"n]')
_TO_ESCAPE = str.maketrans({plain: escaped for escaped, plain in _ESCAPES.items()})


class ExpositionError(ValueError):
    """The text is not Prometheus exposition text."""


@dataclass(frozen=True)
class Family:
    """One metric family, a sample a row, in the order of the text."""

    keys: list[bytes]
    """[samples], the label block as it stands in the text, braces included; empty where there are no labels."""
    values: NDArray[np.float64]
    """[samples]"""
    timestamps: NDArray[np.float64]
    """[samples], epoch seconds; NaN where the text gives none."""
    text: bytes = b""
    """The family as it was served, where it is taken whole; the columns are empty then."""


Samples = dict[str, Family]

NO_SAMPLES: Final = Family([], np.empty(0), np.empty(0))
"""A family that was not served."""


def parse(text: bytes, wanted: frozenset[str]) -> Samples:
    """Return the wanted families of a whole ``text``; see ``parse_chunks``."""
    return parse_chunks((text,), wanted)


def parse_chunks(chunks: Iterable[bytes], wanted: frozenset[str], whole: frozenset[str] = frozenset()) -> Samples:
    """Return the wanted families of a text that comes in pieces, of which no more than one family is held at a time.

    Those in ``whole`` are not taken apart: tens of thousands of keys would scatter over the memory for a moment.
    Values that are not finite are kept as they are. Raise ExpositionError where a wanted line is malformed, and for
    text without a single TYPE line, so that an error page or an empty answer is not taken for an idle node.
    """
    samples: Samples = {}
    announced = False
    coming = iter(chunks)
    first = next(coming, b"")
    for name, block in _blocks(chain((first,), coming)):
        announced = True
        if name in wanted:
            samples[name] = _family(name, block)
        elif name in whole:
            samples[name] = Family([], np.empty(0), np.empty(0), block)
    if not announced:
        raise ExpositionError(f"no metric family in what begins {first[:40]!r}")
    return samples


def _blocks(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield each family's name, and its text from the TYPE line on to the next one."""
    held, searched, begun = bytearray(b"\n"), 0, False
    for chunk in chunks:
        held += chunk
        while (found := held.find(_MARK, searched)) >= 0:
            if begun:
                yield from _block(_begin_of(held, found + 1))
            del held[:found]
            searched, begun = 1, True
        searched = max(len(held) - len(_MARK) + 1, searched if begun else 0)  # a mark may be cut in two
        if not begun:
            del held[:searched]
            searched = 0
    if begun:
        yield from _block(bytes(held))


def _begin_of(held: bytearray, length: int) -> bytes:
    with memoryview(held) as view:  # a slice of the array would be a second copy, and blocks may be of megabytes
        return bytes(view[:length])


def _block(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the family that ``text`` announces, if its TYPE line is whole."""
    if text.find(b"\n", 1) >= 0:
        yield text[len(_MARK) : text.find(b"\n", 1)].split(b" ", 1)[0].decode("utf-8", "replace"), text


def _family(name: str, block: bytes) -> Family:
    keys: list[bytes] = []
    values: list[float] = []
    timestamps: list[float] = []
    prefix = name.encode()
    cut = len(prefix)
    try:
        for line in BytesIO(block):
            if not line.startswith(prefix) or line[cut : cut + 1] not in b"{ \t\n":
                continue
            close = line.rfind(b"}") + 1 or cut
            fields = line[close:].split()
            keys.append(line[cut:close])
            values.append(float(fields[0]))
            timestamps.append(int(fields[1]) / 1000 if len(fields) > 1 else math.nan)
    except (ValueError, IndexError, OverflowError) as error:
        raise ExpositionError(f"{name}: cannot read the line {line[:120].rstrip()!r}") from error
    return Family(keys, np.array(values), np.array(timestamps))


def parse_labels(key: bytes) -> dict[str, str]:
    """Return the labels of a ``Family`` key; raise ExpositionError where they are malformed."""
    text = key.decode("utf-8", "replace").removeprefix("{").removesuffix("}")
    labels: dict[str, str] = {}
    position = 0
    while position < len(text.rstrip()):
        match = _LABEL.match(text, position)
        if match is None:
            raise ExpositionError(f"cannot read the labels {text[:120]!r}")
        value = match[2]
        labels[match[1]] = _ESCAPE.sub(lambda found: _ESCAPES[found[0]], value) if "\\" in value else value
        position = match.end()
    return labels


def escape(value: str) -> str:
    """Return a label's value as it is written between quotes."""
    return value.translate(_TO_ESCAPE)
