"""Fit one library at the origins of a series; run by an interpreter that has the library, apart from the project.

Usage: forecast_worker.py PEER SECONDS FOLDER KEY...
Reads FOLDER/KEY.job.npz: ``context`` [origins, points] with NaN in front, ``ahead`` [horizons], ``levels``.
Writes FOLDER/KEY.npz: ``forecast`` [origins, horizons, levels] and ``cpu_seconds``. Ends early when SECONDS are up.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Fit = Callable[[Any, int, list[float]], list[Any]]
"""(context, steps, levels) to a [steps] array for each level."""


def main(peer: str, seconds: str, folder: str, *keys: str) -> None:
    """Work through the jobs, in order, until the time is up."""
    warnings.simplefilter("ignore")
    ends = time.monotonic() + float(seconds)
    fit = pmdarima_fit() if peer == "pmdarima" else statsforecast_fit(peer)
    for key in keys:
        job = np.load(Path(folder) / f"{key}.job.npz")
        if not work(fit, job, Path(folder) / f"{key}.npz", ends):
            return


def work(fit: Fit, job: Any, target: Path, ends: float) -> bool:
    """Write the forecasts of one job whole; return False when time is up before that."""
    ahead, levels, started = job["ahead"], job["levels"].tolist(), time.process_time()
    forecasts = []
    for context in job["context"]:
        if time.monotonic() > ends:
            return False
        forecasts.append(held(fit, context[~np.isnan(context)], ahead, levels))
    partial = target.with_suffix(".tmp.npz")
    np.savez(partial, forecast=np.array(forecasts), cpu_seconds=time.process_time() - started)
    os.replace(partial, target)  # noqa: PTH105 - whole or not at all
    return True


def held(fit: Fit, past: Any, ahead: Any, levels: list[float]) -> Any:
    """Return [horizons, levels], no less than the least that was seen or zero; last value where a fit fails."""
    try:
        said = np.stack([np.asarray(each)[ahead - 1] for each in fit(past, int(ahead.max()), levels)], axis=1)
    except Exception as error:  # libraries raise of all kinds on awkward series; the peer goes on
        print(f"a fit failed, last value stands in: {error}", file=sys.stderr)
        said = np.full((len(ahead), len(levels)), past[-1])
    said = np.where(np.isfinite(said), said, past[-1])
    return np.maximum(said, min(0.0, past.min()))


def statsforecast_fit(peer: str) -> Fit:
    """Return AutoARIMA, AutoETS or AutoTheta, without a season, at the library's defaults."""
    from statsforecast import models  # noqa: PLC0415 - only this environment has it

    def fit(past: Any, steps: int, levels: list[float]) -> list[Any]:
        widths = [round(200 * level - 100) for level in levels if level > 0.5]
        said = getattr(models, peer)(season_length=1).forecast(past, steps, level=widths)
        return [said["mean"] if level == 0.5 else said[f"hi-{round(200 * level - 100)}"] for level in levels]

    return fit


def pmdarima_fit() -> Fit:
    """Return auto_arima, without a season, at the library's defaults."""
    import pmdarima  # noqa: PLC0415 - only this environment has it

    def fit(past: Any, steps: int, levels: list[float]) -> list[Any]:
        model = pmdarima.auto_arima(past, seasonal=False, suppress_warnings=True, error_action="ignore")
        return [_pmdarima_quantile(model, steps, level) for level in levels]

    return fit


def _pmdarima_quantile(model: Any, steps: int, level: float) -> Any:
    if level == 0.5:
        return model.predict(n_periods=steps)
    return model.predict(n_periods=steps, return_conf_int=True, alpha=2 - 2 * level)[1][:, 1]


if __name__ == "__main__":
    main(*sys.argv[1:])
