"""Series as the recurrent network sees them, column by column, and what the training child makes of them.

Engine and child make its inputs by one function, from the window of demand alone.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from exporter.forecast import backpropagation, recurrent
from exporter.forecast.backpropagation import BURN, LENGTH
from exporter.forecast.exchange import Arrays
from exporter.forecast.recurrent import WIDTH, Network
from exporter.history.windows import Floats, Integers
from exporter.persist.arrays import under, within

_MEANS: Final = (4, 40, 360)
_EXTREMES: Final = 120
INPUTS: Final = len(_MEANS) + 3
_REACH = max(*_MEANS, _EXTREMES)
_BATCHES = 1
"""For each sequence: few sequences are soon learned by heart."""
_FEWEST = 20
_FIRST, _AGAIN = 800, 300
"""Batches at most, from scratch and from the weights that serve."""
_SMALLEST = 1e-20


def inputs(values: Floats, unit: Floats) -> Floats:
    """Return [series, INPUTS] at the last column of ``values`` [series, time], over ``unit`` [series].

    How the series stands to its last column, to means and to extremes; zero where the unit is.
    """
    current, recent = values[:, -1], values[:, -_EXTREMES:]
    columns = [current - values[:, -2:][:, 0], current - recent.min(axis=1), current - recent.max(axis=1)]
    columns += [current - values[:, -size:].mean(axis=1) for size in _MEANS]
    scaled = np.stack(columns, axis=1) / np.maximum(unit, _SMALLEST)[:, None]
    return np.where(unit[:, None] > 0, scaled, 0.0).astype(np.float32)


def states(network: Network, values: Floats, unit: Floats) -> Floats:
    """Return [series, WIDTH] at the last column of ``values``, having come from zero over LENGTH of them."""
    state = np.zeros((len(values), WIDTH), np.float32)
    for end in range(max(values.shape[1] - LENGTH, 0) + 1, values.shape[1] + 1):
        state = recurrent.advance(network, state, inputs(values[:, :end], unit))
    return state


def lessons(values: Floats, first: Integers, units: Floats, ahead: Integers) -> tuple[Floats, Floats]:
    """Return inputs [LENGTH, sequences, INPUTS] and targets [LENGTH, sequences, horizons] for ``backpropagation.fit``.

    Of ``values`` [series, time], begun at ``first`` [series], every column but the oldest is learned from once.
    ``units`` [series, horizons] are the mean changes; targets are NaN before ``first`` and where still unknown.
    """
    width = values.shape[1]
    seen = [inputs(values[:, max(end - _REACH, 0) : end], units[:, 0]) for end in range(1, width + 1)]
    came = [_changes(values, first, units[:, i], int(columns)) for i, columns in enumerate(ahead)]
    starts = np.arange(width - LENGTH, -1, BURN - LENGTH)
    at = np.arange(LENGTH)[:, None] + starts
    shape = (LENGTH, len(starts) * len(values), -1)
    return np.stack(seen)[at].reshape(shape), np.stack(came, axis=2)[at].reshape(shape)


def _changes(values: Floats, first: Integers, unit: Floats, ahead: int) -> Floats:
    """Return [time, series], what came after each column, over ``unit``."""
    change = np.full(values.shape, np.nan, np.float32)
    change[:, :-ahead] = values[:, ahead:] - values[:, :-ahead]
    known = (np.arange(values.shape[1]) >= first[:, None]) & (unit[:, None] > 0)
    return np.where(known, change / np.maximum(unit, _SMALLEST)[:, None], np.nan).astype(np.float32).T


def learn(request: Arrays, enough: Callable[[], bool]) -> Arrays:
    """Return a part ``network`` for the part ``sequences`` of ``request``, begun from its ``network`` if it has one.

    The child's task; nothing where nothing was asked.
    """
    told = within("sequences", request)
    if not told or enough():
        return {}
    horizons = len(told["ahead"])
    serving = recurrent.restored(within("network", request), INPUTS, horizons)
    network = serving or recurrent.fresh(INPUTS, horizons, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        seen, came = lessons(told["values"], told["first"], told["units"], told["ahead"])
        batches = np.clip(_BATCHES * seen.shape[1], _FEWEST, _AGAIN if serving else _FIRST)
        trained = backpropagation.fit(network, seen, came, int(batches), int(told["seed"]), enough)
    return under("network", vars(trained))
