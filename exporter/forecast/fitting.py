"""The child's ARIMA task: known orders are fitted again, then pmdarima searches orders for as long as it may."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from exporter.forecast import arima
from exporter.forecast.arima import Doubles
from exporter.forecast.exchange import Arrays
from exporter.forecast.refit import refit

if TYPE_CHECKING:
    import pmdarima

_CONSTANT = 1e-9


def fit(request: Arrays, enough: Callable[[], bool]) -> Arrays:
    """Return ``row`` [models] and ``model`` [models, arima.WIDTH]; ``searched``, rows that had their search.

    ``request`` holds ``series`` [series, time], NaN before the first sample, ``order`` [series, 3], -1 where unknown,
    and ``searches``: of the first so many rows the order is searched, unless ``enough`` is true before.
    """
    if "series" not in request:
        return {}
    series = request["series"].astype(np.float64)
    models, searched = refit(series, request["order"]), []
    for row in range(int(request["searches"])):
        if enough():
            break
        found = search(series[row][~np.isnan(series[row])])
        searched.append(row)
        if found is not None and arima.stable(found[None])[0]:
            models[row] = found
    rows = np.flatnonzero(~np.isnan(models).any(axis=1))
    return {"row": rows, "model": models[rows], "searched": np.array(searched, np.int64)}


def search(values: Doubles) -> Doubles | None:
    """Return the packed model that pmdarima's stepwise search finds, or None where there is none."""
    centre, unit = float(values.mean()), float(values.std())
    if not unit > _CONSTANT * max(abs(centre), 1.0):
        return None
    found = _stepwise((values - centre) / unit)
    return None if found is None else describe(found, centre, unit)


def describe(found: "pmdarima.ARIMA", centre: float, unit: float) -> Doubles:
    """Return the packed model for y = centre + unit × scaled, where ``found`` was fitted to scaled."""
    parameters = dict(zip(found.arima_res_.param_names, found.arima_res_.params, strict=True))
    _, difference, _ = found.order
    model = arima.pack(parameters.get("intercept", 0.0), found.arparams(), difference, found.maparams())
    model[0] = unit * model[0] + centre * (1.0 - model[1 : 1 + arima.TERMS_AR].sum())
    return model


def _stepwise(values: Doubles) -> "pmdarima.ARIMA | None":
    import pmdarima  # noqa: PLC0415 - seconds and 200 MB, needed only once there is something to search

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pmdarima.auto_arima(
                values,
                seasonal=False,
                max_p=arima.MAX_P,
                max_d=arima.MAX_D,
                max_q=arima.MAX_Q,
                max_order=arima.MAX_P,
                maxiter=20,
                error_action="ignore",
                suppress_warnings=True,
            )
        except (ValueError, np.linalg.LinAlgError):  # pmdarima's ways to say that no order could be fitted
            return None
