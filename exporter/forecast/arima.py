"""ARIMA inference for all series at once; orders and coefficients come from the training child.

With the differencing multiplied into the autoregression, every model is
y[t] = c + sum a[i] y[t-i] + sum b[j] e[t-j] + e[t], and a step for all series is two small products.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Floats

Doubles = NDArray[np.float64]

MAX_P = 5
MAX_D = 2
MAX_Q = 3
TERMS_AR = MAX_P + MAX_D
WIDTH = 1 + TERMS_AR + MAX_Q
"""Numbers that describe one model: c, then a, then b; all NaN where there is no model."""


@dataclass(frozen=True)
class Model:
    """Coefficients of many series, split from [series, WIDTH]."""

    constant: Doubles
    """[series]"""
    autoregressive: Doubles
    """[series, TERMS_AR], nearest lag first"""
    moving: Doubles
    """[series, MAX_Q], nearest lag first"""


def pack(constant: float, ar: Doubles, difference: int, ma: Doubles) -> Doubles:
    """Return [WIDTH] for an ARIMA with AR terms ``ar`` on the ``difference``-times differenced series."""
    polynomial = np.concatenate([[1.0], -np.asarray(ar, np.float64)])
    for _ in range(difference):
        polynomial = np.convolve(polynomial, [1.0, -1.0])
    packed = np.zeros(WIDTH)
    packed[0] = constant
    packed[1 : len(polynomial)] = -polynomial[1:]
    packed[1 + TERMS_AR : 1 + TERMS_AR + len(ma)] = ma
    return packed


def unpack(packed: Doubles) -> Model:
    """Return the model in ``packed`` [series, WIDTH]."""
    return Model(packed[:, 0], packed[:, 1 : 1 + TERMS_AR], packed[:, 1 + TERMS_AR :])


def expected(model: Model, recent: Doubles, shocks: Doubles) -> Doubles:
    """Return one step ahead of ``recent`` [series, TERMS_AR], newest first, after ``shocks`` [series, MAX_Q]."""
    past = np.einsum("si,si->s", model.autoregressive, recent)
    return np.asarray(model.constant + past + np.einsum("sj,sj->s", model.moving, shocks))


def absorb(model: Model, values: Floats | Doubles, shocks: Doubles, now: int) -> Doubles:
    """Return the shocks [series, MAX_Q] after column ``now`` of ``values``, given those before it."""
    if now < TERMS_AR:
        return shocks
    recent = values[:, now - TERMS_AR : now][:, ::-1].astype(np.float64)
    shock = values[:, now] - expected(model, recent, shocks)
    return np.concatenate([shock[:, None], shocks[:, :-1]], axis=1)


def warm_up(model: Model, values: Floats | Doubles, now: int, columns: int) -> Doubles:
    """Return the shocks [series, MAX_Q] at ``now``, running over the last ``columns`` from none."""
    shocks = np.zeros((len(values), MAX_Q))
    for column in range(max(now - columns, 0), now + 1):
        shocks = absorb(model, values, shocks, column)
    return shocks


def forecast(model: Model, values: Floats | Doubles, shocks: Doubles, now: int, ahead: tuple[int, ...]) -> Doubles:
    """Return [series, horizons]: the expectation at ``now`` plus each of ``ahead``; NaN before TERMS_AR columns."""
    wanted = np.full((len(values), len(ahead)), np.nan)
    if now + 1 < TERMS_AR:
        return wanted
    recent = values[:, now - TERMS_AR + 1 : now + 1][:, ::-1].astype(np.float64)
    silence = np.zeros((len(values), 1))
    for step in range(1, max(ahead) + 1):
        following = expected(model, recent, shocks)
        recent = np.concatenate([following[:, None], recent[:, :-1]], axis=1)
        shocks = np.concatenate([silence, shocks[:, :-1]], axis=1)
        if step in ahead:
            wanted[:, [i for i, h in enumerate(ahead) if h == step]] = following[:, None]
    return wanted
