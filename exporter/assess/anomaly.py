"""Anomaly: how far several signals at once are from their own past."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers, columns, median, quantiles, ramp, spread, thin
from exporter.assess.slots import Slots, fitted
from exporter.history.signals import COLUMN
from exporter.history.windows import Window
from exporter.persist.arrays import Arrays, fitting, under, within

FLOORS = {
    "cpu": 0.05,
    "memory": 8 * 2.0**20,
    "disk_io": 2.0**18,
    "network_io": 2.0**16,
    "network_packets": 50.0,
    "file_descriptors": 10.0,
    "threads": 3.0,
    "processes": 2.0,
    "syscalls": 200.0,
    "thread_creations": 1.0,
    "file_opens": 10.0,
    "connections": 2.0,
}
"""Signals looked at, and the distance in their unit that is never worth a word."""
RECENT, GAP = 12.0, 30.0
"""Seconds that count as now, and seconds before now that are not yet past."""
LEAST_PAST = 300.0
LEAST_SAMPLES = 20
MOST_COLUMNS = 240
PARTS = (0.65, 0.6, 0.5)
"""Weight of the strangest signals: one alone is no alarm, two are."""
MOST_WORKLOADS = 2048
BEYOND = (3.0, 8.0)
"""Spreads outside the usual band: where suspicion starts, and where it is complete."""


@dataclass(frozen=True)
class Anomaly:
    """What stands out."""

    score: Numbers
    """[containers]"""
    strength: Numbers
    """[containers, FLOORS + mix of calls], 0–1."""
    now: Numbers
    """[containers, FLOORS]"""
    usual: Numbers
    """[containers, FLOORS], the median of the past."""


@dataclass
class Anomalies:
    """Judges containers by their own past hour, and fresh ones by what was usual for their workload."""

    learn: float
    """Seconds of past needed where that is less than LEAST_PAST."""
    _slots: Slots = field(default_factory=lambda: Slots(MOST_WORKLOADS))
    _bands: Numbers = field(default_factory=lambda: np.zeros((64, 4 * len(FLOORS)), dtype=np.float32))

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return under("slots", self._slots.export()) | {"bands": self._bands}

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        self._bands = fitting(arrays, "bands", self._bands, len(arrays.get("bands", ())))
        self._slots.restore(within("slots", arrays), len(self._bands))

    def assess(self, window: Window, departure: Numbers) -> Anomaly:
        """Return the anomaly per container; ``departure`` is that of the mix of calls, 0–1."""
        signals = window.signals[:, [COLUMN[name] for name in FLOORS], :]
        now = median(signals[:, :, -columns(RECENT, window.step) :])
        low, high, usual, scale = self._remembered(window, _band(signals, window.step, self.learn))
        with np.errstate(invalid="ignore"):
            distance = np.maximum(now - high, low - now) / scale
        strength = np.column_stack([ramp(distance, *BEYOND), departure])
        strongest = -np.sort(-strength, axis=1)[:, : len(PARTS)]
        return Anomaly(1 - np.prod(1 - np.array(PARTS) * strongest, axis=1), strength, now, usual)

    def _remembered(self, window: Window, band: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Store what containers with a past know, and lend it to siblings without one."""
        rows, fresh = self._slots.place(window.workloads)
        self._bands = np.asarray(fitted(self._bands, int(rows.max(initial=-1)) + 1), dtype=np.float32)
        self._bands[fresh] = np.nan
        flat = band.reshape(len(rows), 4 * len(FLOORS))
        kept = np.where(np.isfinite(flat), flat, self._bands[rows])
        self._bands[rows] = kept
        # The second look lets a fresh replica see what a sibling in a later row has just stored.
        whole = np.where(np.isfinite(kept), kept, self._bands[rows]).reshape(len(rows), 4, len(FLOORS))
        return whole[:, 0], whole[:, 1], whole[:, 2], whole[:, 3]


def _band(signals: Numbers, step: float, learn: float) -> Numbers:
    """Return [containers, (low, high, usual, scale), FLOORS] of the past; NaN with too little of it.

    What was there a twentieth of the time is usual: rhythmic loads are no anomaly at each beat.
    """
    past = signals[:, :, : max(signals.shape[2] - columns(GAP, step), 0)]
    samples = np.isfinite(past).sum(axis=2)
    thinned = thin(past, MOST_COLUMNS)
    cut = quantiles(thinned, (0.05, 0.5, 0.95))
    low, usual, high = cut[:, :, 0], cut[:, :, 1], cut[:, :, 2]
    widest = np.maximum(0.25 * (high - low), 0.1 * np.abs(usual))
    scale = np.maximum(np.maximum(spread(thinned, usual), widest), np.array(list(FLOORS.values())))
    enough = samples >= columns(min(LEAST_PAST, learn), step, LEAST_SAMPLES)
    return np.where(enough[:, None, :], np.stack([low, high, usual, scale], axis=1), np.nan)
