"""A small gated recurrent network over all series at once: one network, a state per series.

The unit is the minimal gated one (Zhou, Wu, Zhang and Zhou, IJAC 2016): a single gate says how much of a unit is
renewed and how much of its past the candidate sees. Gate biases begin at time constants from one column to thirty
(Tallec and Ollivier, ICLR 2018). Candidate and readout have no bias, so what has stood still is forecast to stand
still. How it is trained is in ``backpropagation``.

Inputs are differences of a series over its own mean change, outputs changes to come over theirs, so one network
serves every resource and a container it has never seen.
"""

from dataclasses import dataclass, fields

import numpy as np

from exporter.history.windows import Floats
from exporter.persist.arrays import Arrays, MismatchError, fitting

WIDTH = 16
"""Units, and numbers of state a series."""
OUTLIER = 20.0
"""Inputs and targets are cut here."""
_TIMES = (1.5, 3.0, 10.0, 30.0)
"""Columns after which a unit has forgotten half and more, before it has learned otherwise."""
_LARGEST = 1000.0
"""No weight that was learned is larger."""


@dataclass(frozen=True)
class Network:
    """Weights, all float32; K inputs, N units, H horizons."""

    gate: Floats
    """[K + N + 1, N], from inputs, states and one"""
    entry: Floats
    """[K, N], from inputs to candidate states"""
    loop: Floats
    """[N, N], from gated states to candidate states"""
    readout: Floats
    """[N + K, H], from states and inputs"""

    @property
    def weights(self) -> list[Floats]:
        """All of them, in the order of their fields."""
        return [getattr(self, field.name) for field in fields(self)]


def fresh(inputs: int, horizons: int, seed: int) -> Network:
    """Return an untrained network, which forecasts no change."""
    random = np.random.default_rng(seed)
    gate = random.normal(0.0, 0.1, (inputs + WIDTH + 1, WIDTH))
    gate[-1] = -np.log(np.resize(_TIMES, WIDTH) - 1.0)
    entry = random.normal(0.0, 0.5 / np.sqrt(inputs), (inputs, WIDTH))
    loop = random.normal(0.0, 0.3 / np.sqrt(WIDTH), (WIDTH, WIDTH))
    readout = np.zeros((WIDTH + inputs, horizons))
    return Network(*(np.asarray(w, np.float32) for w in (gate, entry, loop, readout)))


def restored(arrays: Arrays, inputs: int, horizons: int) -> Network | None:
    """Return the network in ``arrays``, None in none; raise MismatchError where its weights cannot be."""
    if not arrays:
        return None
    network = Network(**{name: fitting(arrays, name, like) for name, like in vars(fresh(inputs, horizons, 0)).items()})
    if not all((np.abs(weights) <= _LARGEST).all() for weights in network.weights):
        raise MismatchError("weights are not finite, or beyond measure")
    return network


def advance(network: Network, states: Floats, inputs: Floats) -> Floats:
    """Return ``states`` [series, N], each in [-1, 1], after one more column of ``inputs`` [series, K]; NaN is none."""
    seen = squash(inputs)
    bias = network.gate[-1]
    return cell(network, states, seen @ network.gate[: seen.shape[1]] + bias, seen @ network.entry)[2]


def predict(network: Network, states: Floats, inputs: Floats) -> Floats:
    """Return [series, H], the changes to come in units of each horizon's mean change.

    ``inputs`` are those that ``states`` have just taken in.
    """
    return np.asarray(np.concatenate([states, squash(inputs)], axis=1) @ network.readout, np.float32)


def squash(inputs: Floats) -> Floats:
    """Return ``inputs`` finite, and the more compressed the larger they are."""
    return np.arcsinh(np.clip(np.nan_to_num(inputs), -OUTLIER, OUTLIER)).astype(np.float32)


def cell(network: Network, states: Floats, to_gate: Floats, to_candidate: Floats) -> tuple[Floats, Floats, Floats]:
    """Return gates, candidates and next states, given what the inputs add to the first two."""
    half = np.float32(0.5)
    gates = np.asarray(half + half * np.tanh(half * (to_gate + states @ network.gate[-1 - WIDTH : -1])))
    candidates = np.asarray(np.tanh(to_candidate + (gates * states) @ network.loop))
    return gates, candidates, np.asarray(states + gates * (candidates - states))
