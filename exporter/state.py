"""All that one cycle knows, handed on to what is published."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.assess.scores import Scores
from exporter.forecast.forecaster import Forecast
from exporter.history.snapshot import Snapshot
from exporter.history.windows import Floats, Integers


@dataclass(frozen=True)
class SourceState:
    """How a source does."""

    name: str
    up: bool
    newest: float
    """Its newest sample, epoch seconds; NaN where there never was one."""
    duration: float
    """Seconds that the last read took."""
    errors: int
    """Failed reads so far."""


@dataclass(frozen=True)
class State:
    """One cycle. ``quantiles``, ``due`` and ``trusted`` are in the snapshot's row order; NaN, 0 where not forecast."""

    snapshot: Snapshot
    scores: Scores
    forecast: Forecast | None
    """As made at the last finished step; None before the first."""
    quantiles: Floats
    """[containers, resources, horizons, levels]"""
    due: Floats
    """[containers, resources, horizons]"""
    trusted: NDArray[np.bool_]
    """[containers, resources]"""
    node_quantiles: Floats
    """[resources, horizons, levels], of the node as a whole."""
    workload_names: dict[int, str]
    """Name of each workload's number."""
    sources: tuple[SourceState, ...]


def align(lives: Integers, wanted: Integers) -> NDArray[np.intp]:
    """Return for each life in ``wanted`` its position in ``lives``, -1 where it is not there."""
    if not len(lives):
        return np.full(len(wanted), -1, np.intp)
    order = np.argsort(lives)
    position = np.minimum(np.searchsorted(lives, wanted, sorter=order), len(lives) - 1)
    found = order[position]
    return np.where(lives[found] == wanted, found, -1)


def take(array: Floats, positions: NDArray[np.intp]) -> Floats:
    """Return rows of ``array`` at ``positions``; NaN where a position is -1."""
    taken = array[np.maximum(positions, 0)].astype(np.float32)
    taken[positions < 0] = np.nan
    return taken
