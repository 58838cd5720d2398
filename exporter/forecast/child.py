"""The training child: ``python -m exporter.forecast.child`` reads series on stdin, answers ARIMA models on stdout.

It alone imports pmdarima, is started for one pass, works at the lowest priority, and stops when its time is up:
what it has by then is its answer. Input npz: ``series`` [series, time], ``seconds``. Output npz: ``row`` [models],
``model`` [models, arima.WIDTH].
"""

import io
import os
import resource
import sys
import time
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from exporter.forecast import arima

if TYPE_CHECKING:
    import pmdarima

_MEMORY_LIMIT = 3 << 30
_CONSTANT = 1e-9


def main() -> None:
    """Serve one pass."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, _MEMORY_LIMIT))
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as request:
        series, seconds = request["series"].astype(np.float64), float(request["seconds"])
    rows, models = train(series, time.monotonic() + seconds)
    answer = io.BytesIO()
    np.savez(answer, row=np.array(rows, np.int64), model=np.array(models).reshape(-1, arima.WIDTH))
    sys.stdout.buffer.write(answer.getvalue())


def train(series: NDArray[np.float64], deadline: float) -> tuple[list[int], list[NDArray[np.float64]]]:
    """Return the rows fitted before ``deadline`` on the monotonic clock, and a packed model for each."""
    rows, models = [], []
    for row, values in enumerate(series):
        if time.monotonic() >= deadline:
            break
        model = fit(values[~np.isnan(values)])
        if model is not None:
            rows.append(row)
            models.append(model)
    return rows, models


def fit(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the packed model that pmdarima's stepwise search finds, or None where there is none."""
    centre, unit = float(values.mean()), float(values.std())
    if unit <= _CONSTANT * max(abs(centre), 1.0):
        return None
    found = search((values - centre) / unit)
    return None if found is None else describe(found, centre, unit)


def describe(found: "pmdarima.ARIMA", centre: float, unit: float) -> NDArray[np.float64]:
    """Return the packed model for y = centre + unit × scaled, where ``found`` was fitted to scaled."""
    parameters = dict(zip(found.arima_res_.param_names, found.arima_res_.params, strict=True))
    _, difference, _ = found.order
    model = arima.pack(parameters.get("intercept", 0.0), found.arparams(), difference, found.maparams())
    model[0] = unit * model[0] + centre * (1.0 - model[1 : 1 + arima.TERMS_AR].sum())
    return model


def search(values: NDArray[np.float64]) -> "pmdarima.ARIMA | None":
    """Return pmdarima's fitted ARIMA for ``values``, or None where no order fits."""
    import pmdarima  # noqa: PLC0415 - seconds and 200 MB, needed only once there is something to fit

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
        except ValueError:  # pmdarima's way to say that no order could be fitted
            return None


if __name__ == "__main__":
    main()
