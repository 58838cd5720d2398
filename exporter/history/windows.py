"""What the rooms downstream see of the history: plain arrays, a row per live container."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """Evenly spaced demand, newest last, for the forecast.

    ``lives`` names each container's life and is never reused; ``workloads`` is the same number for all
    replicas of a workload, now and later. Where ``censored``, ``values`` is a lower bound of the demand
    and ``ceilings`` the upper one. Both are about the first resources alone, those that can be held back.
    """

    step: float
    """Seconds between columns."""
    end: float
    """Epoch seconds of the newest column."""
    lives: Integers
    """[containers]"""
    workloads: Integers
    """[containers]"""
    values: Floats
    """[containers, resources, time], in the units of ``RESOURCES``; NaN where nothing was seen."""
    ceilings: Floats | Halves
    """[containers, first resources, time], usage plus what throttling held back; NaN, or less, says nothing."""
    censored: Bools
    """[containers, first resources, time]"""


@dataclass(frozen=True)
class Pairs:
    """Calls that threads made one after the other, between the last two readings of them."""

    rows: Integers
    """[pairs], the container's row."""
    codes: Integers
    """[pairs], which calls, by their columns (see exporter/history/pairs.py)."""
    counts: NDArray[np.float64]
    """[pairs], estimated."""
    seconds: float
    """Between the two readings; 0 where an earlier cycle brought them."""


NO_PAIRS: Final = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), 0.0)


@dataclass(frozen=True)
class Window:
    """The last hour at the cycle's step, newest last, for the scores."""

    step: float
    """Seconds between columns."""
    end: float
    """Epoch seconds of the newest column."""
    lives: Integers
    """[containers], as in Grid."""
    workloads: Integers
    """[containers], as in Grid."""
    signals: Floats
    """[containers, signals, time] in the units of ``SIGNALS``; NaN where nothing was seen."""
    started: NDArray[np.float64]
    """[containers], epoch seconds of the container's start; NaN where unknown."""
    cpu_limit: Floats
    """[containers], cores; NaN where unset."""
    memory_limit: Floats
    """[containers], bytes; NaN where unset."""
    syscalls: Floats
    """[containers, calls], calls per second now; NaN where the probe has not seen the container."""
    syscall_names: tuple[str, ...]
    """[calls], grows only at its end."""
    connections: Floats
    """[containers, protocols], connections begun a second now; NaN where the probe has not seen the container."""
    protocol_names: tuple[str, ...]
    """[protocols], grows only at its end."""
    node_cpu: Floats
    """[time], cores in use on the whole node, containers and all else; NaN where unknown."""
    pairs: Pairs = NO_PAIRS
    """Which calls were made after which."""
