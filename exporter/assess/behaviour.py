"""What each workload calls the kernel for: learned once, then compared with what its containers do now."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers, ramp
from exporter.assess.slots import Slots, fitted
from exporter.history.windows import Bools, Integers, Window
from exporter.persist.arrays import Arrays, fitting, under, within

MOST_WORKLOADS = 2048
"""Workloads remembered when they have no container; at 400 calls 10 MB."""
START_UP = 60.0
"""Seconds after a start that neither teach nor accuse: the runtime itself mounts and pivots inside the container."""
LEAST_CALLS = 20.0
"""Calls per second under which a mix is chance."""
MEMORY = 4.0
"""The mix is a mean over this many times the learning time."""


@dataclass(frozen=True)
class Conduct:
    """What the containers do now against what their workloads did."""

    finished: Bools
    """[containers], the workload was watched for the learning time."""
    unknown: Bools
    """[containers, calls], made now and never while learned; False while learning."""
    departure: Numbers
    """[containers], how unusual the mix of calls is, 0–1; 0 while learning."""


@dataclass
class _Table:
    """A row per workload."""

    seconds: Numbers = field(default_factory=lambda: np.zeros(64))
    known: Bools = field(default_factory=lambda: np.zeros((64, 0), dtype=np.bool_))
    present: Numbers = field(default_factory=lambda: np.zeros((64, 0), dtype=np.float32))
    mix: Numbers = field(default_factory=lambda: np.zeros((64, 0), dtype=np.float32))
    distance: Numbers = field(default_factory=lambda: np.zeros(64))
    scatter: Numbers = field(default_factory=lambda: np.zeros(64))

    def prepare(self, rows: int, calls: int, fresh: Integers) -> None:
        """Make room, and forget what rows that changed hands held."""
        for name, array in vars(self).items():
            setattr(self, name, fitted(array, rows, calls if array.ndim == 2 else None))
            getattr(self, name)[fresh] = 0

    def restored(self, arrays: Arrays) -> "_Table":
        """Return the saved table of as many rows and calls as it has; raise MismatchError."""
        rows, calls = arrays["known"].shape if "known" in arrays else self.known.shape
        likes = {name: np.empty((rows, calls)[: array.ndim], array.dtype) for name, array in vars(self).items()}
        return _Table(**{name: fitting(arrays, name, like) for name, like in likes.items()})


class Behaviour:
    """Learned calls and mixes by workload."""

    def __init__(self, learn: float) -> None:
        self._learn = learn
        self._slots = Slots(MOST_WORKLOADS)
        self._table = _Table()

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; its columns are the window's calls."""
        return under("slots", self._slots.export()) | under("table", vars(self._table))

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        self._table = self._table.restored(within("table", arrays))
        self._slots.restore(within("slots", arrays), len(self._table.seconds))

    def observe(self, window: Window, elapsed: float, ordinary: Bools) -> Conduct:
        """Compare, then learn from ``elapsed`` more seconds.

        ``ordinary`` [calls] are those that a finished profile may still take up once they were made for as long as
        learning takes, since programs are updated; the others stay strange for ever.
        """
        rows, fresh = self._slots.place(window.workloads)
        self._table.prepare(int(rows.max(initial=-1)) + 1, len(window.syscall_names), fresh)
        watched = _watched(window)
        active = np.where(watched[:, None], window.syscalls > 0, False)
        finished = self._table.seconds[rows] >= self._learn
        unknown = active & ~self._table.known[rows] & finished[:, None]
        mix, busy = _mix(window.syscalls, watched)
        distance = 0.5 * np.abs(mix - self._table.mix[rows]).sum(axis=1)
        usual = self._table.distance[rows] + 3 * self._table.scatter[rows]
        departure = np.where(busy & finished, ramp(distance - usual, 0.1, 0.35), 0.0)
        self._learn_calls(rows, watched, active, elapsed, ordinary)
        self._learn_mix(rows, busy & (departure < 0.2), mix, distance, elapsed)
        return Conduct(finished, unknown, departure)

    def _learn_calls(self, rows: Integers, watched: Bools, active: Bools, elapsed: float, ordinary: Bools) -> None:
        table = self._table
        for_workload, starts, order = _groups(rows, watched)
        if not for_workload.size:
            return
        made = np.logical_or.reduceat(active[order], starts, axis=0)
        learning = table.seconds[for_workload] < self._learn
        table.seconds[for_workload] += elapsed
        table.present[for_workload] += elapsed * made
        settled = (table.present[for_workload] >= self._learn) & ordinary
        table.known[for_workload] |= made & (learning[:, None] | settled)

    def _learn_mix(self, rows: Integers, usable: Bools, mix: Numbers, distance: Numbers, elapsed: float) -> None:
        table = self._table
        for_workload, starts, order = _groups(rows, usable)
        if not for_workload.size:
            return
        share = np.diff(np.append(starts, order.size))
        mean_mix = np.add.reduceat(mix[order], starts, axis=0) / share[:, None]
        mean_distance = np.add.reduceat(distance[order], starts) / share
        seen = np.minimum(table.seconds[for_workload], MEMORY * self._learn)
        # The first sight of a workload sets the mean outright; its distance from nothing teaches nothing.
        weight = np.minimum(elapsed / np.maximum(seen, elapsed), 1.0) if elapsed else np.zeros_like(seen)
        table.mix[for_workload] += weight[:, None] * (mean_mix - table.mix[for_workload])
        weight = np.where(weight < 1, weight, 0.0)
        off = mean_distance - table.distance[for_workload]
        table.distance[for_workload] += weight * off
        table.scatter[for_workload] += weight * (np.abs(off) - table.scatter[for_workload])


def _watched(window: Window) -> Bools:
    with np.errstate(invalid="ignore"):
        starting = window.end - window.started < START_UP + window.step
    return np.isfinite(window.syscalls).any(axis=1) & ~starting


def _mix(rates: Numbers, watched: Bools) -> tuple[Numbers, Bools]:
    rates = np.where(watched[:, None], np.nan_to_num(rates), 0)
    total = rates.sum(axis=1)
    return rates / np.maximum(total, 1e-9)[:, None], watched & (total >= LEAST_CALLS)


def _groups(rows: Integers, chosen: Bools) -> tuple[Integers, Integers, Integers]:
    """Return the distinct rows among the chosen, where each one's run starts, and the order that makes the runs."""
    candidates = np.flatnonzero(chosen)
    order = candidates[np.argsort(rows[candidates], kind="stable")]
    distinct, starts = np.unique(rows[order], return_index=True)
    return distinct, starts, order
