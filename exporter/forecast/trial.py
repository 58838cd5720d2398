"""A trial of the forecast on recorded series: the engine that serves live, fed column by column."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.demand import Demand, prepare, settled
from exporter.forecast.engine import Engine
from exporter.forecast.plan import Plan
from exporter.forecast.recordings import Recording, lay_out
from exporter.forecast.teacher import Teacher, fit_models
from exporter.forecast.work import FEWEST
from exporter.history.windows import Floats, Integers
from exporter.sources.files import RecordingError

_WARM_UP = 20_000
"""Columns before the split that are fed; older ones are forgotten by then anyway."""


@dataclass(frozen=True)
class Design:
    """What is tried."""

    horizons: tuple[float, ...]
    """Seconds."""
    levels: tuple[float, ...]
    """Quantiles, rising, .5 among them."""
    origins: int
    """Per series, at most."""
    test_from: float
    """Share of a series that comes before its first origin."""


@dataclass(frozen=True)
class Result:
    """One series: what was forecast at each origin, and what came."""

    name: str
    origins: Integers
    """[origins], epoch seconds"""
    last: NDArray[np.float64]
    """[origins], value at the origin"""
    actual: NDArray[np.float64]
    """[origins, horizons]"""
    forecast: NDArray[np.float64]
    """[origins, horizons, levels]"""
    scale: NDArray[np.float64]
    """[horizons], mean absolute change over the horizon before the split"""


def targets(recording: Recording, design: Design) -> tuple[Integers, Integers]:
    """Return [origins], samples to forecast from, and [origins, horizons], the samples that then came.

    A sample serves as origin if it is the last in its column and each horizon ends within half a step of
    a later sample. Raise RecordingError where no sample does.
    """
    times, columns = recording.timestamps, recording.columns
    due = times[:, None] + np.array(design.horizons)
    after = np.clip(np.searchsorted(times, due), 1, len(times) - 1)
    nearest = after - (np.abs(times[after - 1] - due) < np.abs(times[after] - due))
    known = (np.abs(times[nearest] - due) <= recording.step / 2) & (times[nearest] > times[:, None])
    usable = known.all(axis=1) & np.append(columns[1:] != columns[:-1], True)
    candidates = np.flatnonzero(usable)
    candidates = candidates[candidates >= int(design.test_from * len(times))]
    if not candidates.size:
        raise RecordingError(
            f"series {recording.name!r} has no origin with every horizon known; "
            f"its step is {recording.step:g} s: choose other horizons, an earlier --test-from, or a longer recording"
        )
    chosen = np.unique(
        np.rint(np.linspace(0, len(candidates) - 1, min(design.origins, len(candidates)))).astype(np.int64)
    )
    return candidates[chosen], nearest[candidates[chosen]]


def run(cluster: list[Recording], design: Design, progress: Callable[[float], None]) -> list[Result]:
    """Return a result per recording; ``progress`` is told the share done."""
    found = [targets(recording, design) for recording in cluster]
    grid = lay_out(cluster)
    demand = settled(prepare(grid))
    start = round(grid.end / grid.step) + 1 - grid.values.shape[2]
    at = [recording.columns[origins] - start for recording, (origins, _) in zip(cluster, found, strict=True)]
    engine = Engine(Plan.of(design.horizons, design.levels, 1, grid.step))
    engine.arrange(np.full(len(cluster), -1, np.int64))
    forecasts = _feed(engine, demand, at, progress)
    return [
        _result(recording, design, *found[row], forecasts[row], _scale(demand, row, int(at[row][0]), engine.plan.ahead))
        for row, recording in enumerate(cluster)
    ]


def _feed(engine: Engine, demand: Demand, at: list[Integers], progress: Callable[[float], None]) -> list[list[Floats]]:
    """Return for each series the [horizons, levels] forecast at each of its columns ``at``."""
    splits = np.array([columns[0] for columns in at])
    wanted = [set(columns.tolist()) for columns in at]
    taken: list[list[Floats]] = [[] for _ in at]
    begin, end = max(int(splits.min()) - _WARM_UP, 0), max(int(columns[-1]) for columns in at) + 1
    fits = _fits(splits, max(engine.plan.day // 24, 1))
    with closing(Teacher(engine)) as teacher:
        for column in range(begin, end):
            teacher.turn(column - begin, demand.before(column))
            rows = np.array([row for row in fits.get(column, ()) if column - demand.first[row] >= FEWEST], np.int64)
            if rows.size:
                fit_models(engine, demand, rows, column)
            outlook = engine.step(demand, column, column)
            for row, columns in enumerate(wanted):
                if column in columns:
                    taken[row].append(outlook.quantiles[row].copy())
            progress((column + 1 - begin) / (end - begin))
    return taken


def _fits(splits: Integers, hour: int) -> dict[int, list[int]]:
    """Return the rows to fit at each column: ``splits`` within an ``hour`` share a pass, at the first."""
    fits: dict[int, list[int]] = {}
    begun = -hour
    for row in np.argsort(splits, kind="stable").tolist():
        if splits[row] >= begun + hour:
            begun = int(splits[row])
        fits.setdefault(begun, []).append(row)
    return fits


def _scale(demand: Demand, row: int, split: int, ahead: tuple[int, ...]) -> NDArray[np.float64]:
    """Return [horizons], the mean absolute change in the columns before ``split``."""
    values = demand.values[row, demand.first[row] : split].astype(np.float64)
    return np.array([np.abs(values[h:] - values[:-h]).mean() if len(values) > h else 0.0 for h in ahead])


def _result(
    recording: Recording,
    design: Design,
    origins: Integers,
    after: Integers,
    forecasts: list[Floats],
    scale: NDArray[np.float64],
) -> Result:
    last = recording.values[origins]
    forecast = np.array(forecasts, np.float64).reshape(len(origins), len(design.horizons), len(design.levels))
    forecast = np.where(np.isnan(forecast), last[:, None, None], forecast)
    return Result(recording.name, recording.timestamps[origins], last, recording.values[after], forecast, scale)
