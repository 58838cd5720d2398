"""Quantiles beside the median: by the served median's own past errors and by the trees, mixed by what each lost."""

import numpy as np

from exporter.forecast import learning, selection
from exporter.forecast.plan import MEDIAN
from exporter.forecast.state import State
from exporter.history.windows import Floats

_SHARPNESS = 8.0


def by_errors(state: State, i: int, served: Floats) -> Floats:
    """Return [series, levels], ``served`` and its past errors at horizon ``i``."""
    return np.asarray(served[:, None] + beside(state, i))


def beside(state: State, i: int) -> Floats:
    """Return [series, levels], how far past errors at horizon ``i`` lay from the served median."""
    unit = learning.error_unit(state.size[:, i], state.spread[:, i])
    return np.asarray(state.bounds[:, i] * unit[:, None])


def publish(state: State, i: int, served: Floats, said: Floats, levels: tuple[float, ...]) -> Floats:
    """Return [series, levels], rising: ``served`` at the median, else a mean of ``said`` [series, levels, ways].

    A way that said nothing is NaN; the first one always says something.
    """
    rank = np.array(levels)
    losses = np.where(np.isnan(said), np.inf, state.upper[:, i])
    weights = selection.weights(losses, _SHARPNESS)
    mixed = (weights * np.nan_to_num(said)).sum(axis=2)
    beside = np.where(rank > MEDIAN, np.maximum(mixed, served[:, None]), np.minimum(mixed, served[:, None]))
    raised = np.maximum.accumulate(np.where(rank == MEDIAN, served[:, None], beside), axis=1)
    return np.asarray(np.maximum(raised, np.minimum(state.lowest, 0.0)[:, None]), np.float32)
