"""Forgets what a series learned of a habit that it no longer has."""

import numpy as np

from exporter.forecast.state import RING, State
from exporter.history.windows import Integers

_SAMPLES = 20.0
"""What the regression's running sums weigh at most afterwards: less than the average of the resource."""
_CHANGES = 20
_JUDGED = 30
_ERRORS = 32
"""Newest errors kept for the quantiles."""


def relearn(state: State, series: Integers) -> None:
    """Age what ``series`` of a flat state have learned, so that what comes soon outweighs it.

    Nothing is set to zero: models, losses and quantiles go on serving from where they stand.
    """
    heard = state.sums[series][..., -1:, -1:]
    state.sums[series] *= np.minimum(1.0, _SAMPLES / np.maximum(heard, 1.0))
    state.changes[series] = np.minimum(state.changes[series], _CHANGES)
    state.heard[series] = np.minimum(state.heard[series], _JUDGED)
    state.errors[series], state.filled[series] = _newest(state.errors[series], state.filled[series])


def _newest(errors: np.ndarray, filled: Integers) -> tuple[np.ndarray, Integers]:
    """Return the ring with its newest errors alone, from its beginning."""
    kept = np.minimum(filled, _ERRORS)
    places = (filled[..., None] - 1 - np.arange(RING)) % RING
    newest_first = np.take_along_axis(errors, places, axis=-1)
    return np.where(np.arange(RING) < kept[..., None], newest_first, np.nan).astype(errors.dtype), kept
