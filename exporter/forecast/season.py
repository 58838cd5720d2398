"""Rhythms: find a period in each series, and look up what past cycles say about a column to come."""

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Bools, Floats, Integers

_SHORTEST = 3
_FEWEST_COLUMNS = 16
_CYCLES_SEEN = 2.5
"""A period is believed once the history holds this many of it."""
_CYCLES_USED = 3
_DIP = 0.25
"""How far the autocorrelation must fall before the peak: trends and slow drift never dip."""
_BEATS_SHUFFLE = 0.7
"""A cycle must explain the series this much better than its own samples in random order."""


def detect_periods(values: Floats) -> Floats:
    """Return the period in columns of each row of ``values`` [series, time], 0 where there is none.

    The period is the first peak of the autocorrelation (by FFT, of the detrended row) that comes near the
    highest one, refined by a parabola. It counts only where the row repeats itself after it much better
    than a shuffled copy would.
    """
    width = values.shape[1]
    if width < _FEWEST_COLUMNS:
        return np.zeros(len(values), np.float32)
    rows = _detrended(values)
    correlation = _autocorrelation(rows, int(width / _CYCLES_SEEN) + 2)
    peaks = _peaks(correlation, max(0.2, 3.5 / np.sqrt(width)))
    best = np.where(peaks, correlation, -1.0).max(axis=1, initial=-1.0)
    lag = (peaks & (correlation >= 0.9 * best[:, None])).argmax(axis=1)
    period = np.where(best > 0, _refined(correlation, lag), 0.0).astype(np.float32)
    period[(period > 0) & ~_repeats(rows, period)] = 0.0
    return period


def _detrended(values: Floats) -> NDArray[np.float64]:
    time = np.linspace(-1.0, 1.0, values.shape[1])
    rows = values - values.mean(axis=1, keepdims=True, dtype=np.float64)
    slope = (rows * time).sum(axis=1, keepdims=True) / (time**2).sum()
    return np.asarray(rows - slope * time)


def _autocorrelation(rows: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    width = rows.shape[1]
    spectrum = np.fft.rfft(rows, n=1 << (width + lags - 1).bit_length(), axis=1)
    raw = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :lags]
    power = np.maximum(raw[:, :1], np.finfo(np.float32).tiny)
    return np.asarray(raw / power * (width / (width - np.arange(lags))))


def _peaks(correlation: NDArray[np.float64], threshold: float) -> Bools:
    middle = correlation[:, 1:-1]
    peaks = np.zeros(correlation.shape, np.bool_)
    dipped = np.minimum.accumulate(middle, axis=1) < middle - _DIP
    peaks[:, 1:-1] = (middle > correlation[:, :-2]) & (middle >= correlation[:, 2:]) & dipped & (middle > threshold)
    peaks[:, :_SHORTEST] = False
    return peaks


def _refined(correlation: NDArray[np.float64], lag: Integers) -> NDArray[np.float64]:
    rows = np.arange(len(lag))
    centre = np.clip(lag, 1, correlation.shape[1] - 2)
    left, top, right = (correlation[rows, centre + shift] for shift in (-1, 0, 1))
    curve = np.minimum(left - 2 * top + right, -1e-9)
    return np.asarray(lag + np.clip(0.5 * (left - right) / curve, -0.5, 0.5))


def _repeats(rows: NDArray[np.float64], period: Floats) -> Bools:
    width = rows.shape[1]
    earlier = np.arange(width) - np.rint(period).astype(np.int64)[:, None]
    apart = np.abs(rows - np.take_along_axis(rows, np.maximum(earlier, 0), axis=1))
    cycle = (apart * (earlier >= 0)).sum(axis=1) / np.maximum((earlier >= 0).sum(axis=1), 1)
    shuffled = np.abs(rows - rows[:, np.random.default_rng(0).permutation(width)]).mean(axis=1)
    return np.asarray(cycle < _BEATS_SHUFFLE * shuffled)


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
