"""Slow growth: where a level turns into a straight rise, and whether that rise will reach its goal."""

from dataclasses import dataclass

import numpy as np

from exporter.assess.lines import Line, Sums
from exporter.assess.robust import Numbers, quantiles, ramp
from exporter.history.windows import Integers

SHORTEST = 12
"""Columns of the shortest rise that is believed."""
LONGER = 1.15
"""Each rise tried is longer than the one before by this factor: the change point is found to within half of it."""
REACH = 3
"""A rise is compared with the level in twice its own length before it, so that older steps do not matter."""
PARTS = 6
"""Parts of the rise whose means may not leave the line."""
PEAK = 0.95
"""Share of samples below the height that meets the limit first: a saw-tooth's top, not its middle."""
UNEVENNESS = (0.08, 0.035)
"""Root mean square of the parts' distance from the line, over the growth: a warm-up, a wave or few steps leave more."""
ROUGHNESS = 8.0
"""Times the samples' own noise explains the parts' distance; teeth and slow noise are no white noise."""
STEPS = 2
"""Largest moves that are not taken for noise."""
EXPLAINED = (0.5, 0.85)
FLATTENING = (0.3, 0.7)
"""Later half's slope over the earlier one's."""
STILL = (0.0, 0.5)
"""Last third's slope over the whole's."""
EVIDENCE = (0.3, 0.65)
"""The rise so far over what is left: half way through, 1."""
NOVELTY = (0.2, 0.5)


@dataclass(frozen=True)
class Growth:
    """[rows] each."""

    score: Numbers
    rate: Numbers
    """Per column."""
    left: Numbers
    """Columns until the goal; infinite where it will not be met."""
    lasted: Numbers
    """Columns since the rise began."""


@dataclass(frozen=True)
class _Shape:
    """How a rise departs from its line; all relative to its growth or slope."""

    unevenness: Numbers
    roughness: Numbers
    peak: Numbers
    """In units of the values."""


def judge(levels: Numbers, limit: Numbers) -> Growth:
    """Return the belief, per row of ``levels`` [rows, columns], that it rises until it meets ``limit`` or doubles.

    The weakest condition is the score. The change point is that of a level followed by a line (Hinkley 1971),
    by least squares over lengths that grow geometrically.
    """
    rows = len(levels)
    if levels.shape[1] < SHORTEST or not rows:
        return Growth(np.zeros(rows), np.zeros(rows), np.full(rows, np.inf), np.zeros(rows))
    sums = Sums(levels)
    width, found = _change(sums)
    width = np.minimum(width, sums.columns - np.isfinite(levels).argmax(axis=1))
    first = sums.columns - width
    line = sums.line(first, np.full(rows, sums.columns))
    shape = _shape(levels, line, width)
    growth = line.slope * width
    goal = np.where(np.isfinite(limit), limit, 2 * np.maximum(line.now - growth, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.maximum(goal - line.now - shape.peak, 0.0) / line.slope
        conditions = _conditions(sums, line, shape, width, left)
        fresh = _novelty(levels, first, line.now, growth, limit)
    score = np.minimum.reduce((*conditions, fresh))
    believed = found & (line.slope > 0)
    return Growth(
        np.where(believed, score, 0.0),
        np.where(believed, line.slope, 0.0),
        np.where(believed, left, np.inf),
        np.where(believed, width, 0.0),
    )


def _change(sums: Sums) -> tuple[Integers, np.ndarray]:
    """Return the length of the rise per row, and whether there is one."""
    widths, width = [], float(SHORTEST)
    while width < sums.columns:
        widths.append(int(width))
        width *= LONGER
    widths.append(sums.columns)
    unexplained = np.stack([sums.bend_at(width, min(REACH * width, sums.columns)) for width in widths])
    best = unexplained.argmin(axis=0)
    return np.array(widths)[best], np.isfinite(unexplained.min(axis=0))


def _conditions(sums: Sums, line: Line, shape: _Shape, width: Integers, left: Numbers) -> tuple[Numbers, ...]:
    ends = np.full(len(width), sums.columns)
    early = sums.line(ends - width, ends - width + width // 2)
    late = sums.line(ends - width + width // 2, ends)
    last = sums.line(ends - np.maximum(width // 3, 4), ends)
    bend = late.slope / early.slope * np.where(early.slope > 0, 1.0, np.nan)
    bend = np.where(early.slope > 0, bend, np.where(late.slope > 0, np.inf, -np.inf))
    # The standard error of a half's slope in white noise, over the slope.
    doubt = 14 * shape.roughness / np.sqrt(width)
    damping = np.clip(bend + doubt / 2, 0.05, 0.9999)
    constant = -(width / 2) / np.log(damping)
    damped = np.where(left < constant, -constant * np.log1p(-left / constant), np.inf)
    uneven = shape.unevenness**2 - ROUGHNESS * PARTS / width * shape.roughness**2
    return (
        ramp(np.sqrt(np.maximum(uneven, 0.0)), *UNEVENNESS),
        ramp(line.explained, *EXPLAINED),
        ramp(bend + doubt / 2, *FLATTENING),
        ramp(last.slope / line.slope + doubt, *STILL),
        ramp(width / np.maximum(damped, 1e-9), *EVIDENCE),
    )


def _shape(levels: Numbers, line: Line, width: Integers) -> _Shape:
    age = np.arange(levels.shape[1] - 1, -1, -1)
    inside = age < width[:, None]
    away = np.where(inside, levels - (line.now[:, None] - line.slope[:, None] * age), np.nan)
    known = np.isfinite(away)
    heights = np.where(known, away, 0.0)
    part = np.arange(len(levels))[:, None] * PARTS + np.minimum(age * PARTS // width[:, None], PARTS - 1)
    size = len(levels) * PARTS
    count = np.bincount(part[known], minlength=size)
    means = np.bincount(part[known], heights[known], size) / np.maximum(count, 1)
    noise = _noise(np.diff(away, axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        growth = line.slope * width
        uneven = np.sqrt((means.reshape(-1, PARTS) ** 2).mean(axis=1)) / growth
        return _Shape(uneven, noise / growth, np.nan_to_num(quantiles(away, (PEAK,))[:, 0]))


def _noise(moves: Numbers) -> Numbers:
    """Return the samples' own noise from their ``moves``, the largest left out: a few steps are no noise."""
    usual = -np.sort(-(moves**2), axis=1)[:, STEPS:]
    known = np.isfinite(usual)
    noise: Numbers = np.sqrt(np.where(known, usual, 0.0).sum(axis=1) / np.maximum(2 * known.sum(axis=1), 1))
    return noise


def _novelty(levels: Numbers, first: Integers, now: Numbers, growth: Numbers, limit: Numbers) -> Numbers:
    """Return how much of the growth passes what was seen before; peaks at the limit are leaks killed in place."""
    before = np.arange(levels.shape[1]) < first[:, None]
    highest = np.where(before & np.isfinite(levels), levels, -np.inf).max(axis=1)
    passed = ramp((now - highest) / growth, *NOVELTY)
    return np.where((highest >= 0.95 * limit) | np.isneginf(highest), 1.0, passed)
