"""How much hardware counters tell of interference: how bad it is, and of which kind. Offline, by scenarios never seen.

This measures what counters are worth, not a score of the exporter: what is learned here is bound to one machine's
counters and load, so a host has to learn it from its own runs beside known interferers.
"""

import io
import lzma
from pathlib import Path

import numpy as np
import pandas as pd
from behaviour_rows import Row
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

Numbers = NDArray[np.float64]

WARM_UP = 5
"""Samples of a run that are not yet its steady state."""
SLOW = 1.5
"""Times the latency of the same load alone."""
LEAST = 1e-3
QUIET = 3
"""Scenarios below this number are runs without an interferer."""
KINDS = (QUIET, 20, 30, 40)
"""First scenarios that are not: none, CPU, L3, memory bandwidth; from the last on, mixes."""


def measure(data: Path) -> list[Row]:
    """Return the figures of both questions on the runs in ``data``, each scenario judged by the others."""
    folder = data / "ntua_interference"
    runs = pd.read_csv(folder / "dev_runs.csv")
    with np.load(io.BytesIO(lzma.open(folder / "dev_pcm.npz.xz").read())) as file:
        counters = file["x"][:, :, WARM_UP:].astype(np.float64)
    scenario = runs.scenario_id.to_numpy()
    return [_slowdown(counters, scenario, _slower(runs)), _kind(counters, scenario)]


def _slower(runs: pd.DataFrame) -> Numbers:
    """Return each run's p99 latency over that of the same replicas and load alone; NaN where that was not run."""
    alone = runs[runs.scenario_id < QUIET].groupby(["replicas", "rps"]).p99_ms.median()
    usual = alone.reindex(pd.MultiIndex.from_frame(runs[["replicas", "rps"]])).to_numpy()
    return np.asarray(runs.p99_ms.to_numpy() / usual, dtype=np.float64)


def _slowdown(counters: Numbers, scenario: NDArray[np.int64], slower: Numbers) -> Row:
    """Support vector regression (Drucker 1997) of the logarithm of the slowdown, on how counters stand and move."""
    known = np.isfinite(slower)
    slow = slower[known] > SLOW
    features = np.hstack([_level(counters), _width(counters), _restlessness(counters)])[known]
    model = make_pipeline(StandardScaler(), SVR(C=1.0, gamma=0.01))
    # A hundred times slower is no worse news than seven times: the tail must not lead the fit.
    wanted = np.clip(np.log(slower[known]), -1.0, 2.0)
    told = cross_val_predict(model, features, wanted, groups=scenario[known], cv=LeaveOneGroupOut())
    single = max(_either(slow, column) for column in _level(counters)[known].T)
    return Row("counters: AUC of a slowdown over 1.5", _auc(slow, told), 0.945, True, "", {"best counter": single})


def _kind(counters: Numbers, scenario: NDArray[np.int64]) -> Row:
    """Multinomial logistic regression on three quantiles of each counter."""
    kind = np.digitize(scenario, KINDS)
    features = np.hstack([_log(_quantile(counters, level)) for level in (0.1, 0.5, 0.9)])
    shares = []
    for model in (LogisticRegression(C=10.0, max_iter=2000), KNeighborsClassifier(5)):
        scaled = make_pipeline(StandardScaler(), model)
        told = cross_val_predict(scaled, features, kind, groups=scenario, cv=LeaveOneGroupOut())
        shares.append(float((told == kind).mean()))
    return Row("counters: kind of interferer right", shares[0], 0.95, True, "", {"5 nearest runs": shares[1]})


def _log(values: Numbers) -> Numbers:
    return np.asarray(np.log(np.maximum(np.nan_to_num(values), LEAST)))


def _quantile(counters: Numbers, level: float) -> Numbers:
    return np.asarray(np.nanquantile(counters, level, axis=2))


def _level(counters: Numbers) -> Numbers:
    return _log(np.nanmean(counters, axis=2))


def _width(counters: Numbers) -> Numbers:
    return _log(_quantile(counters, 0.9)) - _log(_quantile(counters, 0.1))


def _restlessness(counters: Numbers) -> Numbers:
    return _log(np.nanstd(np.diff(counters, axis=2), axis=2)) - _level(counters)


def _auc(truth: NDArray[np.bool_], score: Numbers) -> float:
    return float(roc_auc_score(truth, score))


def _either(truth: NDArray[np.bool_], score: Numbers) -> float:
    return max(_auc(truth, score), _auc(truth, -score))
