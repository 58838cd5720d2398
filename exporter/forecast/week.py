"""The last week of each series as means of ten minutes: what the same time held on days before."""

import numpy as np

from exporter.forecast.plan import DAYS, Plan
from exporter.forecast.state import State
from exporter.history.windows import Floats, Integers


def absorb(state: State, values: Floats, column: int, width: int) -> None:
    """Put ``values`` [series] of ``column`` into the slot under way; slots are ``width`` columns wide."""
    slot = column // width
    if (state.slot != slot).any():
        _close(state, slot)
    state.slot_columns += 1
    state.slot_mean += (values - state.slot_mean) / state.slot_columns


def _close(state: State, slot: int) -> None:
    """Move what is finished into the ring of a flat ``state``; slots that were missed are unknown."""
    ring = state.week.shape[1]
    rows = np.flatnonzero((state.slot != slot) & (state.slot >= 0))
    state.week[rows, state.slot[rows] % ring] = state.slot_mean[rows]
    missed = slot - 1 - int(state.slot[rows].min(initial=slot - 1))
    for number in range(slot - min(missed, ring), slot):
        state.week[rows[state.slot[rows] < number], number % ring] = np.nan
    fresh = state.slot != slot
    state.slot_mean[fresh] = 0.0
    state.slot_columns[fresh] = 0
    state.slot[:] = slot


def lookup(state: State, column: int, now: int, width: int) -> Floats:
    """Return [series], the value about ``column``, between the means of its slot and the next one's.

    NaN where it is not known, as in slots that are not over at column ``now``.
    """
    place = (column + 0.5) / width - 0.5
    before = int(np.floor(place))
    if before + 1 >= now // width:
        return np.full(len(state.week), np.nan, np.float32)
    ring, share = state.week.shape[1], np.float32(place - before)
    return np.asarray((1 - share) * state.week[:, before % ring] + share * state.week[:, (before + 1) % ring])


def past_days(state: State, column: int, now: int, plan: Plan) -> Floats:
    """Return [DAYS, series], what was about ``column`` one to seven days earlier."""
    return np.stack([lookup(state, column - day * plan.day, now, plan.slot) for day in range(1, DAYS + 1)])


def middle(samples: Floats) -> Floats:
    """Return [series], the lower median over the first axis of what is known; NaN where nothing is."""
    ranked = np.sort(samples, axis=0)
    known: Integers = (~np.isnan(samples)).sum(axis=0)
    return np.asarray(np.take_along_axis(ranked, np.maximum((known - 1) // 2, 0)[None], axis=0)[0])
