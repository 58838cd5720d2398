"""A small gated recurrent network over all series at once: one network, a state per series.

The unit is the minimal gated one (Zhou, Wu, Zhang and Zhou, IJAC 2016): a single gate says how much of a unit is
renewed and how much of its past the candidate sees. Gate biases begin at time constants from one column to thirty
(Tallec and Ollivier, ICLR 2018). Candidate and readout have no bias, so what has stood still is forecast to stand
still. Trained by backpropagation through time on the absolute error, over sequences of all series pooled.

Inputs are differences of a series over its own mean change, outputs changes to come over theirs, so one network
serves every resource and a container it has never seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from exporter.history.windows import Bools, Floats
from exporter.persist.arrays import Arrays, MismatchError, fitting

WIDTH = 16
"""Units, and numbers of state a series."""
BURN = 32
"""Columns at the head of a sequence that only bring the state from zero to where it would be; not learned from."""
LENGTH = 96
"""Columns of a sequence for ``fit``."""
_BATCH = 128
_RATE = 0.01
_WARM_UP = 50
"""Batches over which the rate rises, while the running moments of the gradient are still rough."""
_MOMENTUM, _SCALE = 0.9, 0.99
_STEEPEST = 1.0
"""Longer gradients are cut to this."""
_SMALLEST = 1e-8
_ROUNDING = 0.2
"""In units of the target; errors below count quadratically."""
_OUTLIER = 20.0
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


@dataclass(frozen=True)
class _Run:
    """A pass over a batch of sequences, kept for the way back; each is [time, sequences, N]."""

    before: Floats
    gates: Floats
    candidates: Floats
    after: Floats


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
    if not all((np.abs(weights) <= _LARGEST).all() for weights in _weights(network)):
        raise MismatchError("weights are not finite, or beyond measure")
    return network


def advance(network: Network, states: Floats, inputs: Floats) -> Floats:
    """Return ``states`` [series, N], each in [-1, 1], after one more column of ``inputs`` [series, K]; NaN is none."""
    seen = squash(inputs)
    bias = network.gate[-1]
    return _cell(network, states, seen @ network.gate[: seen.shape[1]] + bias, seen @ network.entry)[2]


def predict(network: Network, states: Floats, inputs: Floats) -> Floats:
    """Return [series, H], the changes to come in units of each horizon's mean change.

    ``inputs`` are those that ``states`` have just taken in.
    """
    return np.asarray(np.concatenate([states, squash(inputs)], axis=1) @ network.readout, np.float32)


def fit(
    network: Network, inputs: Floats, targets: Floats, batches: int, seed: int, enough: Callable[[], bool]
) -> Network:
    """Return ``network`` trained further on ``batches`` draws of the sequences; itself where there are none.

    ``inputs`` [time, sequences, K] are consecutive columns, ``targets`` [time, sequences, H] what came after each
    in units of its horizon's mean change, NaN where that is not known. The first BURN columns teach nothing.
    Once ``enough`` is true, what was learned by then is returned.
    """
    random = np.random.default_rng(seed)
    seen, wanted = squash(inputs), np.clip(targets, -_OUTLIER, _OUTLIER).astype(np.float32)
    useful = np.flatnonzero(~np.isnan(wanted[BURN:]).all(axis=(0, 2)))
    if not useful.size:
        return network
    weights = _weights(network)
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for batch in range(batches):
        if enough():
            break
        drawn = useful[random.integers(0, useful.size, _BATCH)]
        slopes = _slopes(Network(*weights), seen[:, drawn], wanted[:, drawn])
        rate = _RATE * min(1.0, (batch + 1) / _WARM_UP) * (0.5 + 0.5 * np.cos(np.pi * batch / batches))
        for i, slope in enumerate(slopes):
            means[i] += (1.0 - _MOMENTUM) * (slope - means[i])
            squares[i] += (1.0 - _SCALE) * (slope**2 - squares[i])
            mean = means[i] / (1.0 - _MOMENTUM ** (batch + 1))
            square = squares[i] / (1.0 - _SCALE ** (batch + 1))
            weights[i] = weights[i] - np.float32(rate) * mean / (np.sqrt(square) + _SMALLEST)
    return Network(*weights)


def squash(inputs: Floats) -> Floats:
    """Return ``inputs`` finite, and the more compressed the larger they are."""
    return np.arcsinh(np.clip(np.nan_to_num(inputs), -_OUTLIER, _OUTLIER)).astype(np.float32)


def _weights(network: Network) -> list[Floats]:
    return [getattr(network, field.name) for field in fields(Network)]


def _cell(network: Network, states: Floats, to_gate: Floats, to_candidate: Floats) -> tuple[Floats, Floats, Floats]:
    """Return gates, candidates and next states, given what the inputs add to the first two."""
    half = np.float32(0.5)
    gates = np.asarray(half + half * np.tanh(half * (to_gate + states @ network.gate[-1 - WIDTH : -1])))
    candidates = np.asarray(np.tanh(to_candidate + (gates * states) @ network.loop))
    return gates, candidates, np.asarray(states + gates * (candidates - states))


def _run(network: Network, inputs: Floats) -> _Run:
    """Go over ``inputs`` [time, sequences, K] from states of zero."""
    before, gates, candidates, after = np.empty((4, *inputs.shape[:2], WIDTH), np.float32)
    to_gate = inputs @ network.gate[: inputs.shape[2]] + network.gate[-1]
    to_candidate = inputs @ network.entry
    states = np.zeros_like(after[0])
    for t in range(len(inputs)):
        before[t] = states
        gates[t], candidates[t], states = _cell(network, states, to_gate[t], to_candidate[t])
        after[t] = states
    return _Run(before, gates, candidates, after)


def _slopes(network: Network, inputs: Floats, targets: Floats) -> list[Floats]:
    """Return the gradient of the mean error for each of the weights, no longer than ``_STEEPEST``."""
    run = _run(network, inputs)
    read = np.concatenate([run.after, inputs], axis=2)[BURN:]
    error = read @ network.readout - targets[BURN:]
    known: Bools = ~np.isnan(error)
    error = np.where(known, error, 0.0)
    pull = (error / np.sqrt(error**2 + _ROUNDING**2) / max(int(known.sum()), 1)).astype(np.float32)
    to_states = np.zeros_like(run.after)
    to_states[BURN:] = pull @ network.readout[:WIDTH].T
    gate, candidate = _back(network, run, to_states)
    one = np.ones((*inputs.shape[:2], 1), np.float32)
    slopes = [
        _outer(np.concatenate([inputs, run.before, one], axis=2), gate),
        _outer(inputs, candidate),
        _outer(run.gates * run.before, candidate),
        _outer(read, pull),
    ]
    length = float(np.sqrt(sum(float((slope**2).sum()) for slope in slopes)))
    return [slope * min(1.0, _STEEPEST / max(length, _SMALLEST)) for slope in slopes]


def _back(network: Network, run: _Run, to_states: Floats) -> tuple[Floats, Floats]:
    """Return the gradient before each activation, of gates and of candidates, given that of the states."""
    gate, candidate = np.empty((2, *run.gates.shape), np.float32)
    through_gate, through_loop = network.gate[-1 - WIDTH : -1].T.copy(), network.loop.T.copy()
    slope = np.zeros_like(to_states[0])
    for t in range(len(to_states) - 1, -1, -1):
        slope = slope + to_states[t]
        opened, states, new = run.gates[t], run.before[t], run.candidates[t]
        candidate[t] = slope * opened * (1.0 - new**2)
        carried = candidate[t] @ through_loop
        gate[t] = (slope * (new - states) + carried * states) * opened * (1.0 - opened)
        slope = slope * (1.0 - opened) + carried * opened + gate[t] @ through_gate
    return gate, candidate


def _outer(left: Floats, right: Floats) -> Floats:
    """Return [a, b], the sum of products over [time, sequences, a] and [time, sequences, b]."""
    return np.asarray(left.reshape(-1, left.shape[2]).T @ right.reshape(-1, right.shape[2]), np.float32)
