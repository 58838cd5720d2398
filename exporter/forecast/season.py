"""Rhythms: find a period in each series, and look up what past cycles say about a column to come."""

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Bools, Floats, Integers

_SHORTEST = 3
_FEWEST_COLUMNS = 16
_CYCLES_SEEN = 2.0
"""A period is believed once the history holds this many of it."""
_CYCLES_USED = 3
_NOTABLE = 0.2
_DIP = 0.25
"""How far the autocorrelation must fall before the peak: trends and slow drift never dip."""
_BEATS_SHUFFLE = 0.7
"""A cycle must explain the series this much better than its own samples in random order."""
_BLOCK = 16
"""Rows that are looked at together: a spectrum is many times as large as what it is of."""


def detect_periods(values: Floats, first: Integers) -> Floats:
    """Return the period in columns of each row of ``values`` [series, time], 0 where there is none.

    The period is the first peak of the autocorrelation (by FFT, of the detrended row from column ``first``
    on) that comes near the highest one, refined by a parabola. It counts only where the row repeats itself
    after it much better than a shuffled copy would.
    """
    known = np.maximum(values.shape[1] - first, 0)
    longest = int(known.max(initial=0))
    if longest < _FEWEST_COLUMNS:
        return np.zeros(len(values), np.float32)
    parts = (slice(start, start + _BLOCK) for start in range(0, len(values), _BLOCK))
    return np.concatenate([_periods(values[part, -longest:], known[part]) for part in parts])


def _periods(values: Floats, known: Integers) -> Floats:
    """Return the periods of some rows of ``values``, of which the last ``known`` columns were seen."""
    rows = _detrended(values, known)
    correlation = _autocorrelation(rows, known, int(values.shape[1] / _CYCLES_SEEN) + 2)
    peaks = _peaks(correlation, known)
    best = np.where(peaks, correlation, -1.0).max(axis=1, initial=-1.0)
    lag = _summit(correlation, (peaks & (correlation >= 0.9 * best[:, None])).argmax(axis=1))
    period = np.where(best > 0, _refined(correlation, lag), 0.0).astype(np.float32)
    period[(period > 0) & ~_repeats(rows, known, period)] = 0.0
    return period


def _detrended(values: Floats, known: Integers) -> NDArray[np.float64]:
    """Return the rows less their straight line, zero before the last ``known`` columns."""
    width = values.shape[1]
    told = np.arange(width) >= width - known[:, None]
    count = np.maximum(known, 1)[:, None]
    time = np.where(told, np.arange(width) - (width - (count + 1) / 2), 0.0)
    rows = np.where(told, values, 0.0)
    rows = np.where(told, rows - rows.sum(axis=1, keepdims=True) / count, 0.0)
    slope = (rows * time).sum(axis=1, keepdims=True) / np.maximum((time**2).sum(axis=1, keepdims=True), 1.0)
    return np.asarray(rows - slope * time)


def _autocorrelation(rows: NDArray[np.float64], known: Integers, lags: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(rows, n=1 << (rows.shape[1] + lags - 1).bit_length(), axis=1)
    raw = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :lags]
    power = np.maximum(raw[:, :1], np.finfo(np.float32).tiny)
    overlap = np.maximum(known[:, None] - np.arange(lags), 1)
    return np.asarray(raw / power * (np.maximum(known, 1)[:, None] / overlap))


def _peaks(correlation: NDArray[np.float64], known: Integers) -> Bools:
    middle = correlation[:, 1:-1]
    peaks = np.zeros(correlation.shape, np.bool_)
    dipped = np.minimum.accumulate(middle, axis=1) < middle - _DIP
    notable = middle > np.maximum(_NOTABLE, 3.5 / np.sqrt(np.maximum(known, 1)))[:, None]
    peaks[:, 1:-1] = (middle > correlation[:, :-2]) & (middle >= correlation[:, 2:]) & dipped & notable
    lags = np.arange(correlation.shape[1])
    return np.asarray(peaks & (lags >= _SHORTEST) & (lags * _CYCLES_SEEN <= known[:, None] + _CYCLES_SEEN))


def _summit(correlation: NDArray[np.float64], lag: Integers) -> Integers:
    """Return the highest lag on the hill that begins with ``lag``: noise puts small peaks on its slope."""
    lags = np.arange(correlation.shape[1])
    hill = (lags >= lag[:, None]) & (lags <= 1.4 * lag[:, None])
    return np.asarray(np.where(hill, correlation, -np.inf).argmax(axis=1))


def _refined(correlation: NDArray[np.float64], lag: Integers) -> NDArray[np.float64]:
    rows = np.arange(len(lag))
    centre = np.clip(lag, 1, correlation.shape[1] - 2)
    left, top, right = (correlation[rows, centre + shift] for shift in (-1, 0, 1))
    curve = np.minimum(left - 2 * top + right, -1e-9)
    return np.asarray(lag + np.clip(0.5 * (left - right) / curve, -0.5, 0.5))


def _repeats(rows: NDArray[np.float64], known: Integers, period: Floats) -> Bools:
    width = rows.shape[1]
    start = (width - known)[:, None]
    earlier = np.arange(width) - np.rint(period).astype(np.int64)[:, None]
    apart = np.abs(rows - np.take_along_axis(rows, np.maximum(earlier, 0), axis=1))
    cycle = (apart * (earlier >= start)).sum(axis=1) / np.maximum((earlier >= start).sum(axis=1), 1)
    other = width - 1 - np.random.default_rng(0).permutation(width) % np.maximum(known, 1)[:, None]
    shuffled = np.abs(rows - np.take_along_axis(rows, other, axis=1)) * (np.arange(width) >= start)
    return np.asarray(cycle < _BEATS_SHUFFLE * shuffled.sum(axis=1) / np.maximum(known, 1))


def cycle_mean(values: Floats, first: Integers, now: int, ahead: int, period: Floats) -> Floats:
    """Return what the last cycles held at the phase of column ``now + ahead``: [series], NaN without a cycle."""
    span = np.maximum(period, 1.0)
    nearest = np.maximum(np.ceil(ahead / span), 1.0)
    total, count = np.zeros(len(values), np.float32), np.zeros(len(values), np.float32)
    rows = np.arange(len(values))
    for cycle in range(_CYCLES_USED):
        column = np.minimum(np.rint(now + ahead - (nearest + cycle) * span).astype(np.int64), now)
        known = (column >= first) & (column >= 0) & (period > 0)
        total += np.where(known, values[rows, np.maximum(column, 0)], 0.0)
        count += known
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan).astype(np.float32)


def around(values: Floats, first: Integers, column: int, reach: int) -> Floats:
    """Return the mean of each row over ``column`` ± ``reach``, NaN where the row does not go back so far."""
    start, stop = max(column - reach, 0), column + reach + 1
    if stop <= start:
        return np.full(len(values), np.nan, np.float32)
    mean = values[:, start:stop].mean(axis=1)
    return np.where(first <= start, mean, np.nan).astype(np.float32)
