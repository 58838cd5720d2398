"""What a training pass is asked to do, and what of its answer is believed."""

from dataclasses import dataclass

import numpy as np

from exporter.forecast import arima
from exporter.forecast.arima import Doubles
from exporter.forecast.demand import Demand
from exporter.forecast.engine import Engine
from exporter.forecast.exchange import Arrays, NonsenseError
from exporter.forecast.state import SCORED
from exporter.history.windows import Bools, Floats, Integers

COLUMNS = 400
"""Newest columns that a model is fitted to."""
FEWEST = 60
"""Columns that a series must have for a model."""
_REACH = 3.0
"""How many times the range of its history a model may leave it by."""


@dataclass(frozen=True)
class Ranking:
    """What decides whose order is searched first."""

    changed: Integers
    """Series that keep their habit no longer: they come before all others."""
    rested: Bools
    """[series], not searched of late; the others wait, lest the worst ones shut out the rest for good."""
    most: int
    """Searches."""


def choose(engine: Engine, demand: Demand, ranking: Ranking) -> tuple[Integers, int]:
    """Return the series for a pass, and of how many of them, the first, the order is to be searched.

    These are the ones with most of last value's loss left; the others have an order that is fitted again.
    """
    rows = worst(engine, demand)
    turn = np.where(np.isin(rows, ranking.changed), 0, np.where(ranking.rested[rows], 1, 2))
    ranked = rows[np.argsort(turn, kind="stable")]
    searched, others = ranked[: ranking.most], ranked[ranking.most :]
    known = (arima.orders(engine.flat().model[others]) >= 0).all(axis=1)
    return np.concatenate([searched, others[known]]), len(searched)


def worst(engine: Engine, demand: Demand) -> Integers:
    """Return the series that moved and have history enough, those with most of last value's loss left first."""
    state = engine.flat()
    long_enough = demand.values.shape[1] - demand.first >= FEWEST
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (state.losses[..., SCORED.index("served")] / state.losses[..., 0]).mean(axis=1)
    rows = np.flatnonzero(long_enough & (state.spread > 0).any(axis=1))
    return rows[np.argsort(-np.nan_to_num(left[rows], nan=np.inf), kind="stable")]


def history(demand: Demand, rows: Integers, newest: Integers | None = None) -> Floats:
    """Return [rows, COLUMNS or fewer], NaN before the first sample: what the child is given.

    ``newest`` [rows] is how many columns still tell something of each; FEWEST are given in any case.
    """
    width = demand.values.shape[1]
    start, first = max(width - COLUMNS, 0), demand.first[rows]
    if newest is not None:
        first = np.maximum(first, width - np.maximum(newest, FEWEST))
    known = np.arange(start, width) >= first[:, None]
    return np.where(known, demand.values[rows, start:], np.nan).astype(np.float32)


def request(engine: Engine, series: Floats, rows: Integers, searches: int, cpu_seconds: float) -> Arrays:
    """Return what the child is asked for ``rows``, whose history is ``series``."""
    return {
        "series": series,
        "order": arima.orders(engine.flat().model[rows]),
        "searches": np.array(searches),
        "cpu_seconds": np.array(cpu_seconds),
    }


def models(answer: Arrays, handed: int) -> tuple[Integers, Doubles]:
    """Return rows of the ``handed`` ones and their models; raise NonsenseError where they cannot be what was asked."""
    if not {"row", "model", "searched"} <= answer.keys():
        raise NonsenseError(f"lacks arrays: it has {', '.join(sorted(answer)) or 'none'}")
    rows, model, searched = answer["row"], answer["model"], answer["searched"]
    for name, found in (("row", rows), ("searched", searched)):
        if found.ndim != 1 or found.dtype.kind != "i" or not ((found >= 0) & (found < handed)).all():
            raise NonsenseError(f"names series that it was not given ({name})")
    if len(np.unique(rows)) != len(rows) or model.shape != (len(rows), arima.WIDTH) or model.dtype != np.float64:
        raise NonsenseError(f"has models {model.dtype}{model.shape} for {len(rows)} series")
    if not arima.stable(model).all():
        raise NonsenseError("has models that are not finite or explode")
    return rows, model


def install(engine: Engine, demand: Demand, series: Integers, packed: Doubles) -> None:
    """Let the models ``packed`` [series, arima.WIDTH] serve ``series``, with the shocks they would have seen.

    One that would now forecast far outside of all that its series has been is left out.
    """
    state, newest = engine.flat(), demand.values.shape[1] - 1
    shocks = arima.warm_up(arima.unpack(packed), demand.values[series], newest, COLUMNS // 2)
    believed = _plausible(engine, demand.values[series, -COLUMNS:], packed, shocks)
    state.model[series[believed]] = packed[believed]
    state.shocks[series[believed]] = np.nan_to_num(shocks[believed])


def _plausible(engine: Engine, recent: Floats, packed: Doubles, shocks: Doubles) -> Bools:
    low, high = recent.min(axis=1, keepdims=True), recent.max(axis=1, keepdims=True)
    said = arima.forecast(arima.unpack(packed), recent, shocks, recent.shape[1] - 1, engine.plan.ahead)
    reach = _REACH * (high - low)
    return np.asarray((~(said < low - reach) & ~(said > high + reach) & ~np.isnan(shocks[:, :1])).all(axis=1))
