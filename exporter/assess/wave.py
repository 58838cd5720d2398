"""A daily wave beside a leak: on the first day the middle of its rise is as straight, but it began gently."""

import numpy as np

from exporter.assess.robust import Numbers
from exporter.history.windows import Integers


def unlike_wave(levels: Numbers, width: Integers, reach: Integers, day: float, goal: Numbers) -> Numbers:
    """Return what the best sine of ``day`` columns leaves unexplained, over what a level and then a rise leave.

    Both by least squares over the last ``reach`` columns of ``levels`` [rows, columns], of which the rise takes
    ``width``. Infinite where that sine would go over ``goal``: then it is no comfort.
    """
    levels = levels[:, -reach.max(initial=1) :]
    age = np.arange(levels.shape[1] - 1, -1, -1)
    inside = (age < reach[:, None]) & np.isfinite(levels)
    height, middle = _centred(levels, inside)
    rise, _ = _centred(np.maximum(width[:, None] - age, 0), inside)
    first, before = _centred(np.cos(2 * np.pi * age / day), inside)
    second, after = _centred(np.sin(2 * np.pi * age / day), inside)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Gram and Schmidt: what the sine adds to the cosine.
        overlap = _dot(first, second) / _dot(first, first)
        second -= overlap[:, None] * first
        sine = _dot(second, height) / _dot(second, second)
        cosine = _dot(first, height) / _dot(first, first)
        whole = _dot(height, height)
        left = whole - cosine**2 * _dot(first, first) - sine**2 * _dot(second, second)
        level = whole - _dot(rise, height) ** 2 / _dot(rise, rise)
        cosine -= sine * overlap
        peak = middle - cosine * before - sine * after + np.hypot(cosine, sine)
        return np.where(peak < goal, np.maximum(left, 0.0) / np.maximum(level, 0.0), np.inf)


def _centred(values: Numbers, inside: np.ndarray) -> tuple[Numbers, Numbers]:
    """Return the distance from the mean of what is ``inside``, else 0, and that mean."""
    kept = np.where(inside, values, 0.0).astype(np.float64)
    mean = kept.sum(axis=1) / inside.sum(axis=1)
    return np.where(inside, kept - mean[:, None], 0.0), mean


def _dot(one: Numbers, other: Numbers) -> Numbers:
    product: Numbers = np.einsum("rc,rc->r", one, other)
    return product
