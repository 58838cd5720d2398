"""CPU bursts: short excursions far over a container's usual level."""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers, columns, hide_youth, median, ramp, spread
from exporter.history.signals import COLUMN
from exporter.history.windows import Window

USUAL = 600.0
"""Seconds that say what is usual: long against a burst, short against a new steady load."""
HELD = (60.0, 180.0)
"""Seconds for which a burst counts in full, and after which it is forgotten."""
WARM_UP = 60.0
"""Seconds after a start that do not count: starting is work, not a burst."""
LEAST_SAMPLES = 8
LEAST_SECONDS = 60.0


@dataclass(frozen=True)
class Burst:
    """[containers] each."""

    score: Numbers
    peak: Numbers
    """Cores at the top of the strongest recent burst."""
    usual: Numbers
    """Cores, median of the last ten minutes."""


def find(window: Window) -> Burst:
    """Return how strongly each container bursts lately.

    A burst is high against the usual level (from 1.5 to 3 times), against its noise, and in cores (.05 to .25)
    or in parts of the limit; load that is up for 150 to 300 of 600 seconds is a level, not a burst.
    """
    step = window.step
    width = columns(USUAL, step, LEAST_SAMPLES)
    cpu = window.signals[:, COLUMN["cpu"], -width:]
    cpu = hide_youth(cpu, window.started, window.end, step, WARM_UP)
    usual = median(cpu)
    rise = cpu - usual[:, None]
    late = rise[:, -columns(HELD[1], step, 2) :]
    strength = _strength(late, usual, spread(cpu, usual), window.cpu_limit) * _decay(late.shape[1], step)
    top = np.nanmax(np.where(np.isfinite(late), late, 0), axis=1, initial=0)
    up = (rise > 0.5 * top[:, None]).sum(axis=1) * step
    enough = np.isfinite(cpu).sum(axis=1) >= max(LEAST_SAMPLES, LEAST_SECONDS / step)
    score = np.where(enough, strength.max(axis=1, initial=0) * ramp(up, 300.0, 150.0), 0.0)
    return Burst(score, top + usual, usual)


def _strength(rise: Numbers, usual: Numbers, noise: Numbers, limit: Numbers) -> Numbers:
    level = np.maximum(usual, 0.01)[:, None]
    against_level = ramp(rise / level, 0.5, 2.0)
    against_noise = ramp(rise / np.maximum(noise, 1e-3)[:, None], 3.0, 6.0)
    # A tiny limit makes a few millicores a large part of it; below .02 cores nobody else notices.
    against_limit = ramp(rise / limit[:, None], 0.3, 0.7) * ramp(rise, 0.02, 0.05)
    size = np.maximum(ramp(rise, 0.05, 0.25), against_limit)
    return np.minimum(np.minimum(against_level, against_noise), size)


def _decay(width: int, step: float) -> Numbers:
    ages = step * np.arange(width - 1, -1, -1)
    return ramp(ages, HELD[1], HELD[0])
