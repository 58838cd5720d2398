"""When a container's behaviour can be learned and judged."""

import numpy as np

from exporter.assess.behaviour import START_UP
from exporter.history.windows import Bools, Window


def watched(window: Window) -> Bools:
    """Return [containers], which the probe sees, and whose start is over."""
    with np.errstate(invalid="ignore"):
        starting = window.end - window.started < START_UP + window.step
    return np.isfinite(window.syscalls).any(axis=1) & ~starting


def settled(window: Window, learn: float) -> Bools:
    """Return [containers], which live for longer than ``learn`` seconds: the others may be of a new release."""
    with np.errstate(invalid="ignore"):
        young = window.end - window.started < START_UP + learn
    return ~young
