"""Fast memory leaks: growth within an hour that is steady, new, and does not flatten before it hurts."""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers, columns, hide_youth, median, ramp
from exporter.history.signals import COLUMN
from exporter.history.windows import Window

BLOCKS = 8
"""Parts of a stretch whose medians carry the trend: 28 pairs, enough for Mann-Kendall and Theil-Sen."""
LEAST_SAMPLES = 24
"""Three samples a block, the fewest that give a median."""
LEAST_SECONDS = 46.0
"""Shortest stretch believed; most programs have loaded by then."""
LONGEST = 3600.0
"""What lasts longer is judged as slow growth."""
EVIDENCE = 2.0
"""Growth must have lasted half of the time it still needs; then it is called a third of the way to its end."""
UNSEEN = 1.0
"""As long as it still needs, where its beginning was not seen and was not the container's: then it may come and go."""
HORIZON = (2 * 3600.0, 3600.0)
"""Exhaustion beyond two hours is not judged from an hour's window (a daily wave looks the same); within one fully."""
WARM_UP = 10.0
MEBIBYTE = 2.0**20
SAMPLES_PER_BLOCK = 24
"""A block's median gains nothing from more."""


@dataclass(frozen=True)
class Leak:
    """[containers] each."""

    score: Numbers
    rate: Numbers
    """Bytes per second now."""
    exhaustion: Numbers
    """Seconds until the limit; NaN where there is no limit or no believable growth."""
    since: Numbers
    """Epoch seconds from which the growth is steady."""


def find(window: Window, earlier: Numbers | float = -np.inf) -> Leak:
    """Return the belief in a leak per container: the best over stretches of growing length.

    A stretch that starts before the growth sees it bend upwards, a shorter one sees it straight; so trying lengths
    that grow by half finds the change point to within that factor. The weakest of the conditions is the score.
    ``earlier`` is the highest use known from before the last hour.
    """
    most = columns(LONGEST, window.step)
    memory = window.signals[:, COLUMN["memory"], -most:]
    memory = hide_youth(memory, window.started, window.end, window.step, WARM_UP)
    seen = np.where(np.isfinite(memory), memory, -np.inf)
    highest = np.maximum(np.maximum.accumulate(seen, axis=1), np.reshape(earlier, (-1, 1)))
    first = np.isfinite(memory).argmax(axis=1)
    rows = len(memory)
    score, rate, exhaustion, since = np.zeros(rows), np.zeros(rows), np.full(rows, np.nan), np.zeros(rows)
    for width in _widths(memory.shape[1], window.step):
        before = highest[:, -width - 1] if width < memory.shape[1] else np.broadcast_to(earlier, rows)
        unseen = memory.shape[1] - width - first < min(width, most - width)
        age = np.where(unseen, window.end - window.started, 0.0)
        belief, slope, left = _judge(memory[:, -width:], before, age, window.memory_limit, window.step)
        longer = belief >= np.maximum(0.95 * score, 1e-3)
        since = np.where(longer, window.end - width * window.step, since)
        better = belief > score
        rate, exhaustion = np.where(better, slope, rate), np.where(better, left, exhaustion)
        score = np.maximum(score, belief)
    in_sight = (score >= 0.5) & np.isfinite(window.memory_limit) & np.isfinite(exhaustion)
    return Leak(score, rate, np.where(in_sight, exhaustion, np.nan), since)


def _widths(available: int, step: float) -> list[int]:
    width = BLOCKS * -(-columns(LEAST_SECONDS, step, LEAST_SAMPLES) // BLOCKS)
    widths = []
    while width <= available:
        widths.append(width)
        width = BLOCKS * -(-width * 3 // (2 * BLOCKS))
    return widths


def _judge(
    memory: Numbers, before: Numbers, age: Numbers, limit: Numbers, step: float
) -> tuple[Numbers, Numbers, Numbers]:
    """Return belief, pace and seconds left; ``age`` is the container's, 0 where its use before was seen."""
    per_block = memory.shape[1] // BLOCKS
    blocks = memory.reshape(len(memory), BLOCKS, per_block)[:, :, :: -(-per_block // SAMPLES_PER_BLOCK)]
    levels = median(blocks)
    slope, agreement = _theil_sen(levels)
    noise = _noise(blocks, levels, slope)
    growth = slope * (BLOCKS - 1)
    level = levels[:, -1] + slope / 2
    bend, doubt = _bend(levels, noise)
    # Half a stretch of four blocks is the time over which the slope changed by ``bend``.
    damping = np.clip(bend + doubt, 0.05, 1.0)
    goal = np.where(np.isfinite(limit), limit, 2 * level)
    pace = slope * damping / (per_block * step)
    # Twice: few programs start in a straight line.
    evidence = np.where(slope / (per_block * step) * age > 2 * level, UNSEEN, EVIDENCE)
    left = _time_to(np.maximum(goal - level, 0), pace, damping, BLOCKS / 2 * per_block * step)
    conditions = (
        ramp(agreement, 0.7, 0.95),
        ramp(growth / np.maximum(noise, 1.0), 3.0, 6.0),
        ramp(bend + doubt, 0.3, 0.6),
        ramp(bend - doubt, 1.8, 1.35),
        ramp(_largest_jump(levels), 0.6, 0.4),
        _novelty(level, before, growth, limit),
        size(growth, limit),
        ramp(left, *HORIZON),
        ramp(memory.shape[1] * step / np.clip(left / evidence, LEAST_SECONDS, LONGEST), 0.6, 1.0),
    )
    # A drop shows in the last samples long before it moves the last block's median.
    lasting = median(memory[:, -3:]) >= levels[:, -2] - 2 * noise
    seen = lasting & np.isfinite(levels).all(axis=1) & (np.isfinite(memory).sum(axis=1) >= LEAST_SAMPLES // 2)
    return np.where(seen, np.minimum.reduce(conditions), 0.0), pace, left


def _theil_sen(levels: Numbers) -> tuple[Numbers, Numbers]:
    """Return the median slope per block, and the share of pairs that rise (Mann-Kendall)."""
    first, second = np.triu_indices(BLOCKS, 1)
    rises = (levels[:, second] - levels[:, first]) / (second - first)
    return median(rises), (rises > 0).mean(axis=1)


def _noise(blocks: Numbers, levels: Numbers, slope: Numbers) -> Numbers:
    """Return the spread of samples about their own block's line, in bytes."""
    positions = (np.arange(blocks.shape[2]) + 0.5) / blocks.shape[2] - 0.5
    residuals = blocks - levels[:, :, None] - slope[:, None, None] * positions
    return 1.4826 * median(np.abs(residuals).reshape(len(blocks), blocks.shape[1] * blocks.shape[2]))


def _bend(levels: Numbers, noise: Numbers) -> tuple[Numbers, Numbers]:
    """Return the later half's growth over the earlier half's (a straight line: 1), and the standard error of that."""
    early = levels[:, 3] - levels[:, 0]
    late = levels[:, 7] - levels[:, 4]
    with np.errstate(invalid="ignore", divide="ignore"):
        bend = np.where(early > 0, late / early, np.where(late > 0, np.inf, 0.0))
        doubt = np.where(early > 0, 1.5 * noise / early, 0.0)
    return bend, np.minimum(doubt, 0.3)


def _time_to(headroom: Numbers, pace: Numbers, damping: Numbers, period: float) -> Numbers:
    """Return seconds until growth whose pace shrinks by ``damping`` each ``period`` has used ``headroom``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        straight = np.where(pace > 0, headroom / pace, np.inf)
        constant = -period / np.log(damping)
        bent = -constant * np.log1p(-straight / constant)
        bent = np.where(straight < constant, bent, np.inf)
    return np.where(damping > 0.999, straight, bent)


def _largest_jump(levels: Numbers) -> Numbers:
    """Return the largest rise between neighbours as a share of all movement: 1 is a step, 1/7 a straight line."""
    moves = np.diff(levels, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Numbers = np.nan_to_num(moves.max(axis=1) / np.abs(moves).sum(axis=1), nan=1.0)
    return share


def _novelty(level: Numbers, before: Numbers, growth: Numbers, limit: Numbers) -> Numbers:
    """Return how much of the growth passes the highest level seen before: a saw-tooth's next tooth does not.

    Earlier peaks at the limit are no comfort: that is a leak killed and restarted in place.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        passed = ramp((level - before) / growth, 0.25, 0.5)
        return np.where((before >= 0.95 * limit) | np.isneginf(before), 1.0, passed)


def size(growth: Numbers, limit: Numbers) -> Numbers:
    """Return 0–1, how far ``growth`` in bytes is worth a word."""
    limited = np.minimum(ramp(growth / limit, 0.01, 0.03), ramp(growth, MEBIBYTE / 2, MEBIBYTE))
    return np.where(np.isfinite(limit), limited, ramp(growth, 8 * MEBIBYTE, 16 * MEBIBYTE))
