"""What the single models forecast, before anything is made of it."""

import numpy as np

from exporter.forecast import arima, recurrent, regression, sequences
from exporter.forecast.learning import Past
from exporter.forecast.plan import Plan
from exporter.forecast.recurrent import Network
from exporter.forecast.state import MEMBERS, State
from exporter.history.windows import Floats


def simple(state: State, past: Past, plan: Plan, network: Network | None) -> Floats:
    """Return [horizons, series, models], by all MEMBERS but the last, from the last column of ``past``.

    NaN where a model has nothing to say. ARIMA's shocks and the network's states take in that column: once a step.
    """
    current = past.values[:, -1]
    others = np.stack([_by_arima(state, past, plan), _by_network(state, past, plan, network)])
    out = np.empty((len(plan.ahead), len(current), len(MEMBERS) - 1), np.float32)
    for i, ahead in enumerate(plan.ahead):
        inputs = regression.features(past.values, past.first, past.newest, ahead, state.period, plan.day)
        change = (np.nan_to_num(inputs) * state.coefficients[:, i]).sum(axis=1)
        moved = np.stack([np.zeros_like(current), inputs[:, -4], inputs[:, -1], change])
        out[i] = np.concatenate([current + moved, others[:, :, i]]).T
    return out


def _by_arima(state: State, past: Past, plan: Plan) -> Floats:
    model = arima.unpack(state.model)
    state.shocks[:] = np.nan_to_num(arima.absorb(model, past.values, state.shocks, past.newest))
    return np.asarray(arima.forecast(model, past.values, state.shocks, past.newest, plan.ahead), np.float32)


def _by_network(state: State, past: Past, plan: Plan, network: Network | None) -> Floats:
    if network is None:
        return np.full((len(past.first), len(plan.ahead)), np.nan, np.float32)
    seen = sequences.inputs(past.values, state.spread[:, 0])
    state.memory[:] = recurrent.advance(network, state.memory, seen)
    return past.values[:, -1:] + recurrent.predict(network, state.memory, seen) * state.spread


def within_reason(state: State, past: Past) -> tuple[Floats, Floats]:
    """Return the least and the most that a model may say: once more than the range of what it looks back on."""
    lowest, highest = past.values.min(axis=1), past.values.max(axis=1)
    span = highest - lowest
    return np.maximum(lowest - span, np.minimum(state.lowest, 0.0)), highest + span
