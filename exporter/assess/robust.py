"""Statistics of rows with gaps: NaN is no sample, and a row without any yields NaN."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]


def ramp(values: Numbers, low: float, high: float) -> Numbers:
    """Return 0 up to ``low``, 1 from ``high`` on, straight between; low > high falls; NaN counts as 0."""
    with np.errstate(invalid="ignore"):
        part: Numbers = np.nan_to_num(np.clip((values - low) / (high - low), 0.0, 1.0))
    return part


def quantiles(values: Numbers, levels: tuple[float, ...]) -> Numbers:
    """Return [..., levels], lower sample quantiles over the last axis.

    One sort for all levels: numpy's nanquantile walks rows with gaps one by one and is 50 times slower.
    """
    if values.shape[-1] == 0:
        return np.full((*values.shape[:-1], len(levels)), np.nan)
    ordered = np.sort(values, axis=-1)
    counts = np.isfinite(ordered).sum(axis=-1, keepdims=True)
    positions = np.maximum(np.ceil(counts * np.asarray(levels)).astype(np.int64) - 1, 0)
    return np.take_along_axis(ordered, positions, axis=-1)


def median(values: Numbers) -> Numbers:
    """Return the lower median over the last axis."""
    return quantiles(values, (0.5,))[..., 0]


def spread(values: Numbers, centre: Numbers) -> Numbers:
    """Return the median absolute deviation from ``centre``, scaled to a normal's standard deviation."""
    return 1.4826 * median(np.abs(values - centre[..., None]))


def mean(values: Numbers) -> Numbers:
    """Return the mean over the last axis."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Numbers = np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)
    return result


def columns(seconds: float, step: float, least: int = 1) -> int:
    """Return how many columns cover ``seconds``, at least ``least``."""
    return max(least, round(seconds / step))


def recent(values: Numbers, seconds: float, step: float) -> Numbers:
    """Return the mean of the last ``seconds``; where nothing was seen in them, of the last three times that."""
    width = columns(seconds, step)
    near, far = mean(values[:, -width:]), mean(values[:, -3 * width :])
    return np.where(np.isfinite(near), near, far)


def thin(values: Numbers, most: int) -> Numbers:
    """Return every k-th column, the last included, so that at most ``most`` remain."""
    stride = -(-values.shape[-1] // most) if values.shape[-1] else 1
    return values[..., ::-1][..., ::stride][..., ::-1]


def hide_youth(values: Numbers, started: Numbers, end: float, step: float, seconds: float) -> Numbers:
    """Return [containers, time] with NaN in the first ``seconds`` of each container's life."""
    times = end - step * np.arange(values.shape[-1] - 1, -1, -1)
    with np.errstate(invalid="ignore"):
        young = times[None, :] < (started + seconds)[:, None]
    return np.where(young, np.nan, values)
