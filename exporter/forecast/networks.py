"""What the child is given to train the recurrent network on, and what of its weights is believed."""

import numpy as np

from exporter.forecast import recurrent, sequences
from exporter.forecast.backpropagation import LENGTH
from exporter.forecast.demand import Demand
from exporter.forecast.engine import Engine
from exporter.forecast.exchange import Arrays, NonsenseError
from exporter.persist.arrays import MismatchError, under, within

_SERIES = 256
"""Handed to the child at most."""
FEWEST = 1000
"""Columns of all series together from which a network is trained."""


def request(engine: Engine, demand: Demand, column: int) -> Arrays:
    """Return series that move, drawn by chance, as ``sequences``, and the weights that serve as ``network``.

    ``column`` is the absolute number of the newest column. Nothing is asked before there is enough to learn from.
    """
    plan, width = engine.plan, demand.values.shape[1]
    spread, own = engine.flat().spread, np.minimum(width - demand.first, plan.window)
    moving = np.flatnonzero((spread[:, 0] > 0) & (own >= LENGTH + min(plan.ahead)))
    if own[moving].sum() < FEWEST:
        return {}
    rows = np.random.default_rng(column).permutation(moving)[:_SERIES]
    start = max(width - plan.window, 0)
    told = {
        "values": demand.values[rows, start:],
        "first": np.maximum(demand.first[rows] - start, 0),
        "units": spread[rows],
        "ahead": np.array(plan.ahead),
        "seed": np.array(column),
    }
    serving = {} if engine.network is None else under("network", vars(engine.network))
    return under("sequences", told) | serving


def install(engine: Engine, demand: Demand, answer: Arrays) -> None:
    """Let the network of ``answer`` serve, with the states it would have now; raise NonsenseError.

    ``demand`` ends with the column that was forecast from last.
    """
    try:
        network = recurrent.restored(within("network", answer), sequences.INPUTS, len(engine.plan.ahead))
    except MismatchError as error:
        raise NonsenseError(f"has a network that cannot be: {error}") from error
    if network is not None:
        state = engine.flat()
        engine.network = network
        state.memory[:] = sequences.states(network, demand.values, state.spread[:, 0])
