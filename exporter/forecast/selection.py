"""Which models serve: by what each lost lately on this very series."""

import numpy as np

from exporter.history.windows import Floats, Integers

_SHARPNESS = 12.0
"""A model that loses a tenth more than the best gets exp(-1.2) of its weight."""
_SIMPLE_BONUS = 0.02
"""The last value's loss is taken for this much less, so that it wins ties."""
_SMALLEST = 1e-20
_FEWEST = 5
"""Errors a model must have shown before it counts."""
_CONVINCING = 0.1
"""Share of last value's loss that the blend must save to be followed in full."""


def decayed(mean: Floats, sample: Floats, count: Integers, memory: int, haste: float = 1.0) -> Floats:
    """Return the running ``mean`` with ``sample`` in it, exponential after ``memory``.

    A young one is exact; ``haste`` above 1 lets its first samples fade: of n, the first m weigh (m / n) ** haste.
    While ``count`` is below zero each sample replaces the one before, so the mean begins at zero.
    """
    rate = np.asarray(np.maximum(haste / (np.maximum(count, 0) + haste), 1.0 / memory))
    rate = rate.reshape(rate.shape + (1,) * (sample.ndim - rate.ndim))
    moved = np.where(np.isnan(mean), sample, mean + rate * (sample - mean))
    return np.where(np.isnan(sample), mean, moved).astype(np.float32)


def blend(members: Floats, losses: Floats, heard: Integers) -> Floats:
    """Return [series], the mean of ``members`` [series, models], weighted exp(-sharpness × excess loss).

    ``losses`` and ``heard`` [series, models or more] say how each did; the last value, which comes first,
    serves alone until others are measured.
    """
    models = members.shape[1]
    usable = (heard[:, :models] >= _FEWEST) & ~np.isnan(members)
    usable[:, 0] = True
    loss = np.where(usable, losses[:, :models], np.inf)
    loss[:, 0] = np.where(heard[:, 0] >= _FEWEST, loss[:, 0] * (1.0 - _SIMPLE_BONUS), 0.0)
    return np.asarray((weights(loss, _SHARPNESS) * np.where(usable, members, 0.0)).sum(axis=1), np.float32)


def weights(losses: Floats, sharpness: float) -> Floats:
    """Return weights over the last axis, exp(-sharpness × excess loss over the best); the first stands in for NaN."""
    known = np.where(np.isnan(losses), np.inf, losses)
    known[..., 0] = np.where(np.isfinite(known).any(axis=-1), known[..., 0], 0.0)
    best = known.min(axis=-1, keepdims=True)
    raw = np.exp(-sharpness * (known - best) / np.maximum(best, _SMALLEST))
    return np.asarray(raw / raw.sum(axis=-1, keepdims=True), np.float32)


def faith(blended: Floats, last: Floats) -> Floats:
    """Return [series], how far the blend is followed away from last value, given the losses of both: 0 to 1.

    Losses are [series, memories]: the blend must have saved something over each of them. One that is not
    measured yet is followed, since its members are.
    """
    known = np.isfinite(blended) & np.isfinite(last)
    lost, base = np.where(known, blended, 0.0), np.where(known, last, 1.0)
    saved = np.where(base > 0, 1.0 - lost / np.where(base > 0, base, 1.0), 0.0)
    return np.asarray(np.clip(saved.min(axis=1) / _CONVINCING, 0.0, 1.0), np.float32)
