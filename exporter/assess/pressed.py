"""CPU pressed against its limit by a container that is not used to it."""

import numpy as np

from exporter.assess.robust import Numbers, columns, hide_youth, mean, median, ramp, spread
from exporter.history.signals import COLUMN
from exporter.history.windows import Window

RECENT, WARM_UP = 120.0, 60.0
"""Seconds that count as now, and after a start that do not count."""
NEAR = (0.6, 0.8)
"""Part of the limit where pressing starts, and where it is complete."""
BEYOND = (1.0, 3.5)
"""Spreads over the usual share: the shipped threshold of .8 is three of them."""
BELIEVED, BELIEF = 600.0, 0.12
"""The seconds of past that weigh as much as what is believed before, and the spread that is believed."""
LEAST_PAST = 2


def find(window: Window) -> Numbers:
    """Return [containers], 0 to 1: use near the limit and far over what the last hour was used to."""
    share = window.signals[:, COLUMN["cpu"]] / window.cpu_limit[:, None]
    share = hide_youth(share, window.started, window.end, window.step, WARM_UP)
    width = columns(RECENT, window.step)
    now, past = mean(share[:, -width:]), share[:, :-width]
    usual, seen = median(past), np.isfinite(past).sum(axis=1) * window.step
    noise = (BELIEVED * BELIEF**2 + seen * spread(past, usual) ** 2) / (BELIEVED + seen)
    far = ramp((now - usual) / np.sqrt(noise), *BEYOND)
    return np.where(seen >= LEAST_PAST * window.step, np.minimum(ramp(now, *NEAR), far), 0.0)
