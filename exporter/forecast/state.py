"""What is remembered of each series between steps, and how it follows containers that come and go."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from exporter.forecast import arima, recurrent
from exporter.forecast.regression import FEATURES
from exporter.history.windows import Floats, Halves, Integers

MEMBERS = ("last", "season", "yesterday", "regression", "arima", "recurrent", "boosted")
"""Models, in the order of their columns; the simplest first, the one that hears of the others last."""
SCORED = (*MEMBERS, "blend", "served")
"""Whose loss is measured: each model, their weighted mean, and what was published of it."""
SAID = ("errors", "boosted")
"""Ways to say a quantile above the median: by the served median's past errors, and by the trees."""
STANDING = (MEMBERS.index("last"), SCORED.index("blend"))
"""Whose loss is also measured over a longer time."""
RING = 256
"""Past errors kept for the quantiles."""


@dataclass
class State:
    """Arrays with a row per container; ``default`` makes empty ones. Inherited rows outlive a container."""

    sums: Floats
    coefficients: Floats
    losses: Floats
    """[containers, resources, horizons, SCORED], mean absolute errors, newest counting most."""
    standing: Floats
    """[containers, resources, horizons, 2], mean absolute error of last value and of the blend over a longer time."""
    heard: Integers
    """[containers, resources, horizons, SCORED], errors in ``losses``."""
    spread: Floats
    """[containers, resources, horizons], mean absolute change over the horizon."""
    usual: Floats
    """[containers, resources, horizons], as ``spread``, over a longer time."""
    changes: Integers
    """[containers, resources, horizons], changes in ``spread``."""
    size: Floats
    """[containers, resources, horizons], what the served median's error has been of late, in absolute terms."""
    errors: Halves
    """[containers, resources, horizons, RING], served median's errors over ``size`` at the time."""
    filled: Integers
    """[containers, resources, horizons], errors ever put into the ring."""
    shift: Floats
    """[containers, resources, horizons, levels], what live coverage adds to a level."""
    bounds: Floats
    """[containers, resources, horizons, levels], quantiles of ``errors`` at the shifted levels."""
    period: Floats
    model: NDArray[np.float64]
    shocks: NDArray[np.float64]
    memory: Floats
    """[containers, resources, recurrent.WIDTH], states of the recurrent network; zero before there is one."""
    upper: Floats
    """[containers, resources, horizons, levels, SAID], pinball loss of each way to say a quantile."""
    nudge: Floats
    """[containers, resources, horizons, levels], what live coverage adds to a quantile, over ``spread``."""
    week: Floats
    """[containers, resources, slots], means of past slots by their number; NaN where not known."""
    slot: Integers
    """[containers, resources], number of the slot under way; -1 before the first."""
    slot_mean: Floats
    slot_columns: Integers
    coverage: Floats
    """[containers, resources, horizons, levels]"""
    measured: Integers
    """[containers, resources, horizons], samples in ``coverage``."""
    met: Integers
    """[containers, resources, horizons], own forecasts that met their sample, which may be capped."""
    run: Integers
    """[containers, resources], columns since the value last changed."""
    lowest: Floats
    """[containers, resources], smallest value seen."""
    level: Floats
    """[containers, resources], newest value."""


_FRESH = ("coverage", "measured", "met", "run", "lowest", "level", "shocks")


def empty(containers: int, resources: int, horizons: int, levels: int, slots: int) -> State:
    """Return the state of containers of which nothing is known."""
    shape = (containers, resources, horizons)
    joined = FEATURES + 1
    return State(
        sums=np.zeros((*shape, joined, joined), np.float32),
        coefficients=np.zeros((*shape, FEATURES), np.float32),
        losses=np.full((*shape, len(SCORED)), np.nan, np.float32),
        standing=np.full((*shape, len(STANDING)), np.nan, np.float32),
        heard=np.zeros((*shape, len(SCORED)), np.int64),
        spread=np.zeros(shape, np.float32),
        usual=np.zeros(shape, np.float32),
        changes=np.zeros(shape, np.int64),
        size=np.full(shape, np.nan, np.float32),
        errors=np.full((*shape, RING), np.nan, np.float16),
        filled=np.zeros(shape, np.int64),
        shift=np.zeros((*shape, levels), np.float32),
        bounds=np.zeros((*shape, levels), np.float32),
        period=np.zeros(shape[:2], np.float32),
        model=np.full((*shape[:2], arima.WIDTH), np.nan),
        shocks=np.zeros((*shape[:2], arima.MAX_Q)),
        memory=np.zeros((*shape[:2], recurrent.WIDTH), np.float32),
        upper=np.full((*shape, levels, len(SAID)), np.nan, np.float32),
        nudge=np.zeros((*shape, levels), np.float32),
        week=np.full((*shape[:2], slots), np.nan, np.float32),
        slot=np.full(shape[:2], -1, np.int64),
        slot_mean=np.zeros(shape[:2], np.float32),
        slot_columns=np.zeros(shape[:2], np.int64),
        coverage=np.full((*shape, levels), np.nan, np.float32),
        measured=np.zeros(shape, np.int64),
        met=np.zeros(shape, np.int64),
        run=np.zeros(shape[:2], np.int64),
        lowest=np.full(shape[:2], np.inf, np.float32),
        level=np.full(shape[:2], np.nan, np.float32),
    )


def judge_anew(state: State, rows: Integers, ahead: tuple[int, ...]) -> None:
    """Forget how the models did on ``rows`` of a flat state, and with it the trust that was earned.

    What is served is counted from below zero: what is yet to fall due over the horizons ``ahead`` was said before.
    """
    owed = np.array(ahead)
    state.losses[rows] = np.nan
    state.standing[rows] = np.nan
    state.heard[rows] = 0
    state.heard[rows, :, len(MEMBERS) :] = -owed[:, None]
    state.measured[rows] = 0
    state.met[rows] = -owed


def gather(state: State, rows: Integers) -> State:
    """Return the state of ``rows``, copied."""
    return State(**{field.name: getattr(state, field.name)[rows] for field in fields(State)})


def bequeath(heir: State, row: int, donor: State, source: int) -> None:
    """Copy ``source`` of ``donor`` into ``row`` of ``heir``, but for what only the container itself can know."""
    for field in fields(State):
        if field.name not in _FRESH:
            getattr(heir, field.name)[row] = getattr(donor, field.name)[source]
