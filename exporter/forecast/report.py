"""What the live errors say of the forecast: whether to trust it, and two figures per workload."""

import numpy as np

from exporter.forecast.state import MEMBERS, SCORED, State
from exporter.history.windows import Bools, Floats, Integers

_COVERED = 0.1
"""How far the measured share under the .9 quantile may fall short, beside one standard error of it."""
_BETTER = 0.98
"""Loss over last value's, geometric mean over the horizons, under which the forecast is the better one."""
_EXACT = 0.005
"""A loss under this share of the value needs no comparison: what hardly moves is forecast well by anything."""
_SMALLEST = 1e-20


def trusted(state: State, least: float) -> Bools:
    """Return [containers, resources]: better than last value, covered, and compared with ``least`` samples or more."""
    served, last = _losses(state)
    with np.errstate(invalid="ignore"):
        better = np.log((served + _SMALLEST) / (last + _SMALLEST)).mean(axis=2) < np.log(_BETTER)
        exact = (served <= _EXACT * np.abs(state.level)[..., None]).all(axis=2)
        chance = np.sqrt(0.9 * 0.1 / np.maximum(state.measured, 1))
        covered = (state.coverage[..., 1] >= 0.9 - _COVERED - chance).all(axis=2)
    return np.asarray((state.met >= max(least, 1.0)).all(axis=2) & covered & (better | exact))


def seen(values: Floats, columns: int) -> Bools:
    """Return whether a sample lies in the newest ``columns`` of ``values`` [..., time], NaN where there is none."""
    return np.asarray(~np.isnan(values[..., -columns:]).all(axis=-1))


def loss_ratio(state: State, workload: Integers, workloads: int) -> Floats:
    """Return [workloads, resources, horizons], loss over last value's, summed over each workload's containers."""
    served, last = (_summed(np.nan_to_num(loss), workload, workloads) for loss in _losses(state))
    heard = _summed(~np.isnan(_losses(state)[0]), workload, workloads)
    return np.where(heard > 0, (served + _SMALLEST) / (last + _SMALLEST), np.nan).astype(np.float32)


def coverage(state: State, workload: Integers, workloads: int) -> Floats:
    """Return [workloads, resources, horizons, levels over .5], share of samples at or under the quantile."""
    share = state.coverage[..., 1:]
    total = _summed(np.nan_to_num(share), workload, workloads)
    heard = _summed(~np.isnan(share), workload, workloads)
    return np.where(heard > 0, total / np.maximum(heard, 1), np.nan).astype(np.float32)


def _losses(state: State) -> tuple[Floats, Floats]:
    return state.losses[..., SCORED.index("served")], state.losses[..., MEMBERS.index("last")]


def _summed(values: Floats | Bools, workload: Integers, workloads: int) -> Floats:
    total = np.zeros((workloads, *values.shape[1:]), np.float32)
    np.add.at(total, workload, values)
    return total
