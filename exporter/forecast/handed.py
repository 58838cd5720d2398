"""What a child is at work on, so that it is found again whoever came or went meanwhile."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Integers

Named = NDArray[np.int64]
"""[series, 2], life and resource"""


@dataclass(frozen=True)
class Handed:
    """Series that a pass is about."""

    series: Named
    """In the order in which the child was given them."""
    drifted: Named
    unused: Named

    @classmethod
    def nothing(cls) -> "Handed":
        """Return what is handed before the first pass."""
        none = np.empty((0, 2), np.int64)
        return cls(none, none, none)


def named(lives: Integers, resources: int, series: Integers) -> Named:
    """Return the names of ``series``, rows of a node of ``lives`` with so many ``resources`` each."""
    container, resource = np.divmod(series, resources)
    return np.stack([lives[container], resource], axis=1)


def found(lives: Integers, resources: int, those: Named) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the rows of ``those`` that are among ``lives``, and the mask of which they are."""
    where = {int(life): row for row, life in enumerate(lives)}
    rows = np.array([where.get(int(life), -1) for life in those[:, 0]], np.int64)
    alive = rows >= 0
    return rows[alive] * resources + those[alive, 1], alive
