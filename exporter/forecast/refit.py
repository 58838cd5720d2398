"""Coefficients for ARIMA orders that are already known, many series at once: what the child does between two searches.

Hannan and Rissanen's regression (Biometrika 1982) on the shocks of a long autoregression gives a start, and a few
Gauss-Newton steps on the conditional sum of squares lead on. A full likelihood costs ten times as much and more.
"""

from dataclasses import dataclass

import numpy as np

from exporter.forecast import arima
from exporter.forecast.arima import Doubles
from exporter.history.windows import Bools, Integers

_LONG = 16
"""Order of the long autoregression."""
_STEPS = 4
_CHUNK = 64
"""Series fitted together; bounds the memory."""
_RIDGE = 1e-8
_FEWEST = 60
"""Known columns that a series needs."""
_CONSTANT = 1e-9


@dataclass(frozen=True)
class _Fit:
    values: Doubles
    """[series, time], scaled and differenced; zero where not ``known``"""
    known: Bools
    """[series, time]"""
    order: tuple[int, int, int]


def refit(series: Doubles, orders: Integers) -> Doubles:
    """Return models [series, arima.WIDTH] of ``orders`` [series, 3] for ``series`` [series, time], NaN at first.

    A row is NaN where the order is unknown (negative), the series too short or constant, or the fit not stable.
    """
    models = np.full((len(series), arima.WIDTH), np.nan)
    for order in np.unique(orders[(orders >= 0).all(axis=1)], axis=0):
        rows = np.flatnonzero((orders == order).all(axis=1))
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            models[chunk] = _refit(series[chunk], (int(order[0]), int(order[1]), int(order[2])))
    return models


def _refit(series: Doubles, order: tuple[int, int, int]) -> Doubles:
    known = ~np.isnan(series)
    count = np.maximum(known.sum(axis=1), 1)
    centre = np.where(known, series, 0.0).sum(axis=1) / count
    unit = np.sqrt((np.where(known, series - centre[:, None], 0.0) ** 2).sum(axis=1) / count)
    fit = (count >= _FEWEST) & (unit > _CONSTANT * np.maximum(np.abs(centre), 1.0))
    scaled = (series - centre[:, None]) / np.where(fit, unit, 1.0)[:, None]
    parameters = _parameters(_differenced(scaled, order))
    models = np.stack([_packed(row, order) for row in parameters])
    models[:, 0] = unit * models[:, 0] + centre * (1.0 - models[:, 1 : 1 + arima.TERMS_AR].sum(axis=1))
    models[~(fit & arima.stable(models))] = np.nan
    return models


def _differenced(scaled: Doubles, order: tuple[int, int, int]) -> _Fit:
    values = np.diff(scaled, n=order[1], axis=1)
    known = ~np.isnan(values)
    return _Fit(np.where(known, values, 0.0), known, order)


def _packed(parameters: Doubles, order: tuple[int, int, int]) -> Doubles:
    p, d, _ = order
    return arima.pack(parameters[0], parameters[1 : 1 + p], d, parameters[1 + p :])


def _parameters(fit: _Fit) -> Doubles:
    """Return [series, 1 + p + q]: constant (zero where differenced), autoregression, moving average."""
    p, d, q = fit.order
    shocks = _regress(fit, _lagged(fit.values, _LONG), _LONG)[1] if q else fit.values
    inputs = np.concatenate([_lagged(fit.values, p), _lagged(shocks, q)], axis=2)
    found, _ = _regress(fit, inputs, (_LONG if q else 0) + max(p, q), constant=d == 0)
    found[~_invertible(found, fit.order), 1 + p :] = 0.0
    for _ in range(_STEPS if q else 0):
        found = _improved(fit, found)
    return found


def _lagged(values: Doubles, lags: int) -> Doubles:
    """Return [series, time, lags], nearest first, zero before the beginning."""
    padded = np.pad(values, ((0, 0), (lags, 0)))
    width = values.shape[1]
    columns = [padded[:, lags - lag : lags - lag + width] for lag in range(1, lags + 1)]
    return np.stack(columns, axis=2) if columns else np.zeros((*values.shape, 0))


def _regress(fit: _Fit, inputs: Doubles, skipped: int, constant: bool = False) -> tuple[Doubles, Doubles]:
    """Return least squares [series, 1 + inputs] and the errors [series, time]; the first known columns are skipped."""
    joined = np.concatenate([np.full((*fit.values.shape, 1), float(constant)), inputs], axis=2)
    used = fit.known & (np.cumsum(fit.known, axis=1) > skipped)
    found = _solve(joined * used[..., None], fit.values * used)
    errors = np.where(used, fit.values - np.einsum("sti,si->st", joined, found), 0.0)
    return found, errors


def _solve(inputs: Doubles, target: Doubles) -> Doubles:
    gram = np.einsum("sti,stj->sij", inputs, inputs)
    ridge = _RIDGE * (np.trace(gram, axis1=1, axis2=2) + 1.0)[:, None, None] * np.eye(gram.shape[1])
    moment = np.einsum("sti,st->si", inputs, target)
    return np.asarray(np.linalg.solve(gram + ridge, moment[..., None])[..., 0])


def _improved(fit: _Fit, parameters: Doubles) -> Doubles:
    """Take one Gauss-Newton step, where it lowers the sum of squares."""
    errors, slopes = _errors(fit, parameters)
    moved = parameters - _solve(slopes, errors)
    moved = np.where(_invertible(moved, fit.order)[:, None], moved, parameters)
    with np.errstate(over="ignore", invalid="ignore"):
        better = (_errors(fit, moved)[0] ** 2).sum(axis=1) < (errors**2).sum(axis=1)
    return np.where(better[:, None], moved, parameters)


def _invertible(parameters: Doubles, order: tuple[int, int, int]) -> Bools:
    finite = np.asarray(np.isfinite(parameters).all(axis=1))
    return finite & arima.roots_within(-np.where(finite[:, None], parameters, 0.0)[:, 1 + order[0] :])


def _errors(fit: _Fit, parameters: Doubles) -> tuple[Doubles, Doubles]:
    """Return one-step errors [series, time] and their slopes [series, time, parameters], none before p columns."""
    p, d, q = fit.order
    theta = parameters[:, 1 + p :]
    lagged = _lagged(fit.values, p)
    used = fit.known & (np.cumsum(fit.known, axis=1) > p)
    direct = np.where(
        used, fit.values - parameters[:, :1] - np.einsum("sti,si->st", lagged, parameters[:, 1 : 1 + p]), 0.0
    )
    series, width = fit.values.shape
    errors, slopes = np.zeros((series, width + q)), np.zeros((series, width + q, 1 + p + q))
    own = np.concatenate([np.full((series, width, 1), float(d == 0)), lagged], axis=2) * used[..., None]
    for t in range(width):
        before = errors[:, t : t + q][:, ::-1]
        errors[:, t + q] = direct[:, t] - np.einsum("sj,sj->s", theta, before) * used[:, t]
        slope = np.concatenate([own[:, t], before], axis=1)
        fed = np.einsum("sj,sjk->sk", theta, slopes[:, t : t + q][:, ::-1])
        slopes[:, t + q] = -(slope + fed) * used[:, t, None]
    return errors[:, q:], slopes[:, q:]
