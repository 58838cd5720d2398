"""Columns of numbers → exposition text, at a price that 500 containers can pay every cycle.

prometheus_client builds an object a sample; with 60,000 series that alone costs more than reading, forecasting and
scoring together (ADR 3). Here each family is one pass over one column.
"""

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from math import isnan

import numpy as np
from numpy.typing import NDArray

from exporter.publish.catalogue import BY_NAME
from exporter.sources.exposition import escape

_FAST, _GZIP = 1, 31


@dataclass(frozen=True)
class Series:
    """Some series of one family: one a row, with labels that are the same for all rows."""

    name: str
    values: NDArray[np.floating]
    """[rows]; NaN is not served."""
    labels: str = ""
    """More labels, already written, such as ``direction="read"``."""
    row_labels: Sequence[str] | None = None
    """[rows], more labels that differ by row; None for none."""
    digits: int = 9
    """Significant digits; times need more than the rest."""


@dataclass
class Page:
    """Exposition text in the making, grouped by family in the catalogue's order."""

    identities: Sequence[str]
    """[rows], each container's identity labels, already written."""
    series: int = 0
    """Number of series so far."""
    _blocks: dict[str, list[Callable[[], bytes]]] = field(default_factory=dict)
    """What writes the text of each family, when its turn comes: all text at once is 15 MB for 500 containers."""

    def add(self, series: Series) -> None:
        """Add one value a container."""
        self.add_later(series.name, int((~np.isnan(series.values)).sum()), partial(_written, self.identities, series))

    def add_one(self, name: str, value: float, **labels: str) -> None:
        """Add one value about no container; NaN is not served."""
        if not isnan(value):
            self.add_lines(name, [_line(name, value, labels)])

    def add_measured(self, name: str, measure: Callable[[], float]) -> None:
        """Add one value about no container that is taken when the page has been written up to it."""
        self.add_later(name, 1, lambda: _line(name, measure(), {}).encode() + b"\n")

    def add_lines(self, name: str, lines: list[str]) -> None:
        """Add lines already written."""
        text = "\n".join((*lines, "")).encode()
        self.add_later(name, len(lines), lambda: text)

    def add_later(self, name: str, series: int, block: Callable[[], bytes]) -> None:
        """Add so many lines that ``block`` writes when their turn comes."""
        if series:
            self.series += series
            self._blocks.setdefault(name, []).append(block)

    def packed(self, more: bytes = b"") -> bytes:
        """Return the whole page and ``more`` text after it, compressed by gzip."""
        packer, page = zlib.compressobj(_FAST, wbits=_GZIP), io.BytesIO()
        page.writelines(map(packer.compress, chain(self._parts(), (more,))))
        page.write(packer.flush())
        return page.getvalue()

    def _parts(self) -> Iterator[bytes]:
        for name, metric in BY_NAME.items():
            if blocks := self._blocks.get(name):
                yield f"# HELP {name} {metric.help} ({metric.unit}).\n# TYPE {name} {metric.kind}\n".encode()
                yield from (block() for block in blocks)


def _written(identities: Sequence[str], series: Series) -> bytes:
    rows = zip(identities, series.values.tolist(), strict=True)
    more = "," + series.labels if series.labels else ""
    if series.row_labels is None:
        name, form = series.name, f".{series.digits}g"
        text = [f"{name}{{{who}{more}}} {value:{form}}\n" for who, value in rows if not isnan(value)]
    else:
        text = [
            f"{series.name}{{{who}{more},{own}}} {value:.9g}\n"
            for (who, value), own in zip(rows, series.row_labels, strict=True)
            if not isnan(value)
        ]
    return "".join(text).encode()


def _line(name: str, value: float, labels: dict[str, str]) -> str:
    block = f"{{{write_labels(labels)}}}" if labels else ""
    return f"{name}{block} {value:.15g}"


def write_labels(labels: dict[str, str]) -> str:
    """Return ``a="x",b="y"``, escaped."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
