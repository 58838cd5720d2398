"""Training of the recurrent network: backpropagation through time on the absolute error, over sequences of all series.

Adam (Kingma and Ba, ICLR 2015) with a rate that rises, then falls to nothing along a cosine. The child alone does it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from exporter.forecast.recurrent import OUTLIER, WIDTH, Network, cell, squash
from exporter.history.windows import Bools, Floats

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


@dataclass(frozen=True)
class _Run:
    """A pass over a batch of sequences, kept for the way back; each is [time, sequences, N]."""

    before: Floats
    gates: Floats
    candidates: Floats
    after: Floats


def fit(
    network: Network, inputs: Floats, targets: Floats, batches: int, seed: int, enough: Callable[[], bool]
) -> Network:
    """Return ``network`` trained further on ``batches`` draws of the sequences; itself where there are none.

    ``inputs`` [time, sequences, K] are consecutive columns, ``targets`` [time, sequences, H] what came after each
    in units of its horizon's mean change, NaN where that is not known. The first BURN columns teach nothing.
    Once ``enough`` is true, what was learned by then is returned.
    """
    random = np.random.default_rng(seed)
    seen, wanted = squash(inputs), np.clip(targets, -OUTLIER, OUTLIER).astype(np.float32)
    useful = np.flatnonzero(~np.isnan(wanted[BURN:]).all(axis=(0, 2)))
    if not useful.size:
        return network
    weights = network.weights
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


def _run(network: Network, inputs: Floats) -> _Run:
    """Go over ``inputs`` [time, sequences, K] from states of zero."""
    before, gates, candidates, after = np.empty((4, *inputs.shape[:2], WIDTH), np.float32)
    to_gate = inputs @ network.gate[: inputs.shape[2]] + network.gate[-1]
    to_candidate = inputs @ network.entry
    states = np.zeros_like(after[0])
    for t in range(len(inputs)):
        before[t] = states
        gates[t], candidates[t], states = cell(network, states, to_gate[t], to_candidate[t])
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
