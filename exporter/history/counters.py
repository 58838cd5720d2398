"""Cumulative counters → rates, from the samples' own timestamps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """Rates of one cycle, [rows, counters], per second."""

    held: Doubles
    """The newest known rate; NaN where there is none yet, or its sample has grown stale."""
    fresh: Doubles
    """The rate where this cycle brought a new sample, else NaN."""


class Counters:
    """Remembers the last sample of rows × counters and turns the next one into a rate.

    A repeated or older timestamp is no new sample, unless it is so old that the clock must have been set back. A
    counter that fell has been reset: what it counted since is unknown, so that cycle has no rate instead of a spike.
    """

    def __init__(self, columns: int, stale_after: float, rows: int = 16) -> None:
        self._stale_after = stale_after
        self._values = np.full((rows, columns), np.nan)
        self._stamps = np.full((rows, columns), np.nan)
        self._rates = np.full((rows, columns), np.nan)

    def reshape(self, rows: int, columns: int) -> None:
        """Make room for at least ``rows`` × ``columns``."""
        have_rows, have_columns = self._values.shape
        if rows <= have_rows and columns <= have_columns:
            return
        shape = (have_rows if rows <= have_rows else 2 * rows, have_columns if columns <= have_columns else 2 * columns)
        for name in ("_values", "_stamps", "_rates"):
            bigger = np.full(shape, np.nan)
            bigger[:have_rows, :have_columns] = getattr(self, name)
            setattr(self, name, bigger)

    def remove(self, row: int, last: int) -> None:
        """Forget ``row``; the row ``last`` takes its place."""
        for array in (self._values, self._stamps, self._rates):
            array[row] = array[last]
            array[last] = np.nan

    def begin_at_zero(self, values: Doubles) -> None:
        """Take counters that appear in ``values`` on a row already known as having stood at zero until then.

        Sources list a labelled counter from its first event on; without this that event would go unseen.
        """
        self.reshape(*values.shape)
        rows, columns = values.shape
        last, taken = self._values[:rows, :columns], self._stamps[:rows, :columns]
        known_since = np.fmax.reduce(taken, axis=1, initial=-np.inf)
        new = np.isfinite(values) & np.isnan(last) & np.isfinite(known_since)[:, None]
        last[new] = 0.0
        taken[new] = np.broadcast_to(known_since[:, None], new.shape)[new]

    def update(self, values: Doubles, stamps: Doubles, now: float) -> Rates:
        """Return the rates after the samples ``values`` taken at ``stamps`` (epoch seconds), both [rows, counters].

        NaN in ``values`` is an absent sample; NaN in ``stamps`` means that the sample was taken ``now``.
        """
        rows, columns = values.shape
        self.reshape(rows, columns)
        last, taken, rate = (array[:rows, :columns] for array in (self._values, self._stamps, self._rates))
        at = np.where(np.isnan(stamps), now, stamps)
        known = np.isfinite(values)
        turned_back = at < taken - self._stale_after
        taken[turned_back & known] = np.nan
        new = known & ~(at <= taken)
        with np.errstate(invalid="ignore", divide="ignore"):
            fresh = np.where(new & (values >= last), (values - last) / (at - taken), np.nan)
        rate[new] = fresh[new]
        last[new] = values[new]
        taken[new] = at[new]
        current = known & (np.abs(now - taken) <= self._stale_after)
        return Rates(np.where(current, rate, np.nan), fresh)
