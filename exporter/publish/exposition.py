"""Columns of numbers → exposition text, at a price that 500 containers can pay every cycle.

prometheus_client builds an object a sample; with 60,000 series that alone costs more than reading, forecasting and
scoring together (ADR 3). Here each family is one pass over one column.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isnan

import numpy as np
from numpy.typing import NDArray

from exporter.publish.catalogue import BY_NAME
from exporter.sources.exposition import escape


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
    _lines: dict[str, list[str]] = field(default_factory=dict)

    def add(self, series: Series) -> None:
        """Add one value a container."""
        rows = zip(self.identities, series.values.tolist(), strict=True)
        more = "," + series.labels if series.labels else ""
        if series.row_labels is None:
            name, form = series.name, f".{series.digits}g"
            text = [f"{name}{{{who}{more}}} {value:{form}}" for who, value in rows if not isnan(value)]
        else:
            text = [
                f"{series.name}{{{who}{more},{own}}} {value:.9g}"
                for (who, value), own in zip(rows, series.row_labels, strict=True)
                if not isnan(value)
            ]
        self._lines.setdefault(series.name, []).extend(text)

    def add_one(self, name: str, value: float, **labels: str) -> None:
        """Add one value about no container; NaN is not served."""
        if not isnan(value):
            block = f"{{{write_labels(labels)}}}" if labels else ""
            self._lines.setdefault(name, []).append(f"{name}{block} {value:.15g}")

    def add_lines(self, name: str, lines: Iterable[str]) -> None:
        """Add lines already written."""
        self._lines.setdefault(name, []).extend(lines)

    @property
    def series(self) -> int:
        """Number of series so far."""
        return sum(map(len, self._lines.values()))

    def text(self) -> bytes:
        """Return the whole page."""
        parts = []
        for name, metric in BY_NAME.items():
            if lines := self._lines.get(name):
                head = f"# HELP {name} {metric.help} ({metric.unit}).\n# TYPE {name} {metric.kind}"
                parts.append("\n".join((head, *lines, "")).encode())
        return b"".join(parts)


def write_labels(labels: dict[str, str]) -> str:
    """Return ``a="x",b="y"``, escaped."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
