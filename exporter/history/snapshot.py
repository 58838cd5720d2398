"""What is true of all containers now."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.calls import LabelledRates
from exporter.history.identity import Identity
from exporter.history.windows import Integers, Pairs

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Allocation:
    """What each container was given, [containers]; NaN where unset."""

    cpu_limit: Doubles
    """Cores."""
    memory_limit: Doubles
    """Bytes."""
    cpu_request: Doubles
    """Cores; on Kubernetes alone."""
    memory_request: Doubles
    """Bytes."""


@dataclass(frozen=True)
class Snapshot:
    """One cycle's view; a row per container, the node itself apart."""

    at: float
    """Epoch seconds."""
    identities: tuple[Identity, ...]
    """[containers]"""
    lives: Integers
    """[containers]"""
    workloads: Integers
    """[containers]"""
    signals: Doubles
    """[containers, signals], the newest known values in the units of ``SIGNALS``; NaN where unknown."""
    allocation: Allocation
    started: Doubles
    """[containers], epoch seconds."""
    oom_kills: Doubles
    """[containers], since the container started."""
    syscalls: LabelledRates
    """[containers, calls]"""
    followed: NDArray[np.intp]
    """[containers, slots], columns of ``syscalls`` that are published by name; -1 for none."""
    followed_level: Doubles
    """[containers, slots], their smoothed rates."""
    connections: LabelledRates
    """[containers, protocols]"""
    pairs: Pairs
    """Rows are those of the containers."""
    node_cpu: float
    """Cores of the node; NaN where unknown."""
    node_memory: float
    """Bytes of the node; NaN where unknown."""
    dropped: int
    """Containers left out so far because all rows were taken."""
