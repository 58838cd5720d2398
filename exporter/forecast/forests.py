"""What the child is given to grow trees from, and what of its trees is believed."""

import numpy as np

from exporter.forecast.engine import Engine
from exporter.forecast.exchange import Arrays, NonsenseError
from exporter.forecast.features import FEATURES
from exporter.forecast.trees import restored
from exporter.persist.arrays import MismatchError, under, within

FEWEST = 500
"""Samples of a horizon from which trees are grown."""


def request(engine: Engine) -> Arrays:
    """Return ``levels`` and the samples of each horizon that has enough, in parts ``samples0``, ``samples1`` …"""
    ready = [i for i, samples in enumerate(engine.samples) if len(samples.known.targets) >= FEWEST]
    arrays: Arrays = {"levels": np.array(engine.plan.levels)} if ready else {}
    for i in ready:
        arrays |= under(f"samples{i}", vars(engine.samples[i].known))
    return arrays


def install(engine: Engine, answer: Arrays) -> None:
    """Let the trees of ``answer`` serve; raise NonsenseError where they cannot be what was asked."""
    horizons = range(len(engine.forests))
    try:
        found = [restored(within(f"forest{i}", answer), len(engine.plan.levels), FEATURES) for i in horizons]
    except MismatchError as error:
        raise NonsenseError(f"has trees that cannot be: {error}") from error
    for i, forest in enumerate(found):
        if forest is not None:
            engine.forests[i] = forest
