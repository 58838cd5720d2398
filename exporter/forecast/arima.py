"""ARIMA inference for all series at once; orders and coefficients come from the training child.

With the differencing multiplied into the autoregression, every model is
y[t] = c + sum a[i] y[t-i] + sum b[j] e[t-j] + e[t], and a step for all series is two small products.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Bools, Floats, Integers

Doubles = NDArray[np.float64]

MAX_P = 5
MAX_D = 2
MAX_Q = 3
TERMS_AR = MAX_P + MAX_D
WIDTH = 1 + TERMS_AR + MAX_Q
"""Numbers that describe one model: c, then a, then b; all NaN where there is no model."""
_ROUNDING = 1e-9
_UNIT_ROOT = 1e-3
"""How far over one a double root of one may come out."""


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


def orders(packed: Doubles) -> Integers:
    """Return [series, 3], the order (p, d, q) behind each of ``packed`` [series, WIDTH]; -1 where there is no model.

    Differencing left roots of exactly one in the polynomial, which an estimate never has.
    """
    polynomial = np.concatenate([np.ones((len(packed), 1)), -packed[:, 1 : 1 + TERMS_AR]], axis=1)
    slope = polynomial * np.arange(TERMS_AR + 1)
    once = np.abs(polynomial.sum(axis=1)) < _ROUNDING
    difference = once.astype(np.int64) + (once & (np.abs(slope.sum(axis=1)) < _ROUNDING))
    found = np.stack([_last(packed[:, 1 : 1 + TERMS_AR]) - difference, difference, _last(packed[:, 1 + TERMS_AR :])], 1)
    return np.where(np.isnan(packed).any(axis=1, keepdims=True), -1, np.maximum(found, 0))


def _last(terms: Doubles) -> Integers:
    """Return [series], how many of ``terms`` there are up to the last that is not zero."""
    count = terms.shape[1]
    return np.where((terms != 0).any(axis=1), count - np.argmax(terms[:, ::-1] != 0, axis=1), 0)


def stable(packed: Doubles) -> Bools:
    """Return [series], whether each of ``packed`` is finite, does not explode and can be inverted."""
    finite = np.asarray(np.isfinite(packed).all(axis=1))
    safe = np.where(finite[:, None], packed, 0.0)
    return finite & roots_within(safe[:, 1 : 1 + TERMS_AR]) & roots_within(-safe[:, 1 + TERMS_AR :])


def roots_within(terms: Doubles) -> Bools:
    """Return [series], whether y[t] = sum terms[i] y[t-i] stays bounded, but for what differencing adds."""
    size = terms.shape[1]
    if not size:
        return np.ones(len(terms), np.bool_)
    companion = np.zeros((len(terms), size, size))
    companion[:, 0] = terms
    companion[:, np.arange(1, size), np.arange(size - 1)] = 1.0
    return np.asarray(np.abs(np.linalg.eigvals(companion)).max(axis=1) < 1.0 + _UNIT_ROOT)


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
