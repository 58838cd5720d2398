"""Slow growth: where a level turns into a straight rise, and whether that rise will reach its goal."""

from dataclasses import dataclass

import numpy as np

from exporter.assess.lines import Line, Sums
from exporter.assess.robust import Numbers, quantiles, ramp
from exporter.assess.shape import damping, end_slope, parts, unlike_steps
from exporter.assess.wave import unlike_wave
from exporter.history.windows import Integers

SHORTEST = 12
"""Columns of the shortest rise that is believed."""
LONGER = 1.15
"""Each rise tried is longer than the one before by this factor: the change point is found to within half of it."""
REACH = 3
"""A rise is compared with the level in twice its own length before it, so that older steps do not matter."""
PEAK = 0.95
"""Share of samples below the height that meets the limit first: a saw-tooth's top, not its middle."""
EXPLAINED = (0.3, 0.7)
"""Share of the variance; saw-teeth of a quarter of the headroom leave little in the first hours."""
STILL = (-0.25, 1.0)
"""Slope at the newest end over the line's; waves and warm-ups end flat."""
UNLIKE_STEPS = (0.0, 0.2)
"""What three jumps leave unexplained over what the line leaves."""
UNLIKE_WAVE = (0.0, 1.0)
"""What a daily wave leaves unexplained over what a level and then a rise leave."""
EVIDENCE = (0.1, 0.72)
"""The rise so far over what is left: half way through, 1."""
UNSEEN = 2 / 3
"""Weight of evidence of a rise before which nothing was seen, 1 from its own length on: it may be a warm-up."""
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


def judge(levels: Numbers, limit: Numbers, day: float) -> Growth:
    """Return the belief, per row of ``levels`` [rows, columns], that it rises until it meets ``limit`` or doubles.

    The weakest condition is the score. The change point is that of a level followed by a line (Hinkley 1971),
    by least squares over lengths that grow geometrically. ``day`` is how many columns a day has.
    """
    rows = len(levels)
    if levels.shape[1] < SHORTEST or not rows:
        return Growth(np.zeros(rows), np.zeros(rows), np.full(rows, np.inf), np.zeros(rows))
    sums = Sums(levels)
    width, found = _change(sums)
    width = np.minimum(width, sums.columns - np.isfinite(levels).argmax(axis=1))
    first = sums.columns - width
    line = sums.line(first, np.full(rows, sums.columns))
    away = _away(levels, line, width)
    growth = line.slope * width
    goal = np.where(np.isfinite(limit), limit, 2 * np.maximum(line.now - growth, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        residuals = parts(np.nan_to_num(away), width) / growth[:, None]
        peak = np.nan_to_num(quantiles(away, (PEAK,))[:, 0])
        left = np.maximum(goal - line.now - peak, 0.0) / line.slope
        conditions = (
            ramp(line.explained, *EXPLAINED),
            ramp(end_slope(residuals), *STILL),
            ramp(_evidence(sums, width, left, residuals), *EVIDENCE),
            _novelty(levels, first, line.now, growth, limit),
        )
    score = np.minimum.reduce(conditions)
    some = np.flatnonzero(score)
    unlike = _unlike(levels[some], residuals[some], width[some], goal[some], day)
    score[some] = np.minimum(score[some], unlike)
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


def _away(levels: Numbers, line: Line, width: Integers) -> Numbers:
    """Return the distance from the line; NaN before the rise and in gaps."""
    age = np.arange(levels.shape[1] - 1, -1, -1)
    return np.where(age < width[:, None], levels - (line.now[:, None] - line.slope[:, None] * age), np.nan)


def _evidence(sums: Sums, width: Integers, left: Numbers, residuals: Numbers) -> Numbers:
    """Return the rise so far over what is left if it goes on to flatten from half to half as it did."""
    before = sums.between(np.zeros_like(width), sums.columns - width)[0]
    seen = UNSEEN + (1 - UNSEEN) * ramp(before / width, 0.0, 1.0)
    constant = -(width / 2) / np.log(np.clip(damping(residuals), 0.05, 0.9999))
    damped = np.where(left < constant, -constant * np.log1p(-left / constant), np.inf)
    return seen * width / np.maximum(damped, 1e-9)


def _unlike(levels: Numbers, residuals: Numbers, width: Integers, goal: Numbers, day: float) -> Numbers:
    """Return how far steps and waves, which are dear to fit, explain the rise worse than a line does."""
    wave = unlike_wave(levels, width, REACH * width, day, goal)
    return np.minimum(ramp(unlike_steps(residuals), *UNLIKE_STEPS), ramp(wave, *UNLIKE_WAVE))


def _novelty(levels: Numbers, first: Integers, now: Numbers, growth: Numbers, limit: Numbers) -> Numbers:
    """Return how much of the growth passes what was seen before; peaks at the limit are leaks killed in place."""
    before = np.arange(levels.shape[1]) < first[:, None]
    highest = np.where(before & np.isfinite(levels), levels, -np.inf).max(axis=1)
    passed = ramp((now - highest) / growth, *NOVELTY)
    return np.where((highest >= 0.95 * limit) | np.isneginf(highest), 1.0, passed)
