"""Anomaly: how rare what a container does is, by its workload's habits, or by its past hour until it has any."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from exporter.assess import pressed
from exporter.assess.rarity import MONTH
from exporter.assess.rhythm import Rhythms, Strange
from exporter.assess.robust import Numbers, columns, mean, median, quantiles, ramp, spread, thin
from exporter.assess.slots import Slots, fitted
from exporter.history.signals import COLUMN
from exporter.history.windows import Bools, Integers, Window
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
_LOOKED_AT = [COLUMN[name] for name in FLOORS]
_BLOCK = 64
"""Containers whose past is looked at together."""
RECENT, GAP = 12.0, 30.0
"""Seconds that count as now, and seconds before now that are not yet past."""
LEAST_PAST = 300.0
LEAST_SAMPLES = 20
MOST_COLUMNS = 240
PARTS = (0.65, 0.6, 0.5)
"""Weight of the strangest signals: one alone is no alarm, two are."""
MOST_WORKLOADS = 2048
MINUTE = 60.0
"""Habits are learned and judged a minute at a time, or a cycle where that is longer."""
LEARN = 14 * 86_400.0
"""Seconds for which habits are learned at full pace."""
AT_ALARM = 0.2
"""1 less the ratio of what happens as often as the user allows for."""
TOGETHER, CYCLE = 300.0, 15.0
"""Seconds within which the rule wants evidence twice, and seconds from one cycle to the next as shipped."""
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


@dataclass(frozen=True)
class _Judgement:
    """What habits said last, a row per life in ``lives``."""

    lives: Integers
    ratio: Numbers
    mature: Bools
    offset: Numbers

    @classmethod
    def none(cls, lives: Integers) -> Self:
        """Return what is said of containers that nobody has judged yet."""
        count = len(lives)
        return cls(lives, np.zeros(count), np.zeros(count, dtype=np.bool_), np.zeros((count, len(FLOORS))))

    @classmethod
    def of(cls, lives: Integers, strange: Strange, monthly: float) -> Self:
        """Return the published meaning of ``strange``."""
        return cls(lives, ratio(strange.rate, monthly), np.isfinite(strange.rate), strange.offset)

    def at(self, lives: Integers) -> "_Judgement":
        """Return the rows of ``lives``."""
        if np.array_equal(lives, self.lives):
            return self
        result = self.none(lives)
        _, mine, theirs = np.intersect1d(lives, self.lives, return_indices=True)
        for name in ("ratio", "mature", "offset"):
            getattr(result, name)[mine] = getattr(self, name)[theirs]
        return result


def ratio(rate: Numbers, monthly: float = 1.0) -> Numbers:
    """Return 0 to 1 for what is expected ``rate`` times a container-month: .8 for ``monthly``, .87 for a tenth of it.

    A threshold t thus stands for ((1 - t) / .2)^5 times as many alarms.
    """
    rarity: Numbers = np.clip(1 - AT_ALARM * np.minimum(rate / monthly, 1e6) ** 0.2, 0.0, 1.0)
    return rarity


def evidence_rate(monthly: float, interval: float) -> float:
    """Return how many single cycles of evidence a month may bring for two to meet ``monthly`` times by chance.

    Cycles that come at random, r a month, have another within the next TOGETHER seconds r² TOGETHER / MONTH times.
    Evidence is as improbable in each cycle whatever its ``interval``, so that a recording is judged as life is.
    """
    return float(np.sqrt(monthly * MONTH / TOGETHER)) * CYCLE / interval


@dataclass
class Anomalies:
    """Judges by habits; before there are any by the past hour, and fresh containers by that of their workload."""

    learn: float
    """Seconds of past needed where that is less than LEAST_PAST."""
    monthly: float = 1.0
    """Alarms a container-month that the user allows for."""
    _slots: Slots = field(default_factory=lambda: Slots(MOST_WORKLOADS))
    _rhythms: Rhythms = field(default_factory=lambda: Rhythms(np.array(list(FLOORS.values())), LEARN))
    _minute: float = -1.0
    _last: _Judgement = field(default_factory=lambda: _Judgement.none(np.zeros(0, dtype=np.int64)))
    _bands: Numbers = field(default_factory=lambda: np.zeros((64, 4 * len(FLOORS)), dtype=np.float32))

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return under("slots", self._slots.export()) | under("rhythms", self._rhythms.export()) | {"bands": self._bands}

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        self._bands = fitting(arrays, "bands", self._bands, len(arrays.get("bands", ())))
        self._slots.restore(within("slots", arrays), len(self._bands))
        self._rhythms.restore(within("rhythms", arrays))

    def assess(self, window: Window, departure: Numbers) -> Anomaly:
        """Return the anomaly per container; ``departure`` is that of the mix of calls, 0–1."""
        now = median(_signals(window, columns(RECENT, window.step)))
        low, high, usual, scale = self._remembered(window, self._usual(window))
        with np.errstate(invalid="ignore"):
            distance = np.maximum(now - high, low - now) / scale
        habit = self._judged(window)
        far = np.where(habit.mature[:, None], np.abs(habit.offset), distance)
        strength = np.column_stack([ramp(far, *BEYOND), departure])
        strongest = -np.sort(-strength, axis=1)[:, : len(PARTS)]
        several = 1 - np.prod(1 - np.array(PARTS) * strongest, axis=1)
        score = np.where(habit.mature, habit.ratio, several)
        used = np.where(habit.mature, ramp(habit.offset[:, 0], 1.0, 3.0), 1.0)
        return Anomaly(np.maximum(score, np.minimum(pressed.find(window), used)), strength, now, usual)

    def _usual(self, window: Window) -> Numbers:
        """Return the bands of all containers; what is sorted for them is several times as large as their past."""
        parts = [
            _band(window.signals[at : at + _BLOCK, _LOOKED_AT], window.step, self.learn)
            for at in range(0, len(window.lives), _BLOCK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 4, len(FLOORS)))

    def _judged(self, window: Window) -> "_Judgement":
        """Return what habits say of the last whole minute."""
        step = max(MINUTE, window.step)
        if window.end // step != self._minute:
            self._minute = window.end // step
            values = mean(_signals(window, columns(step, window.step)))
            strange = self._rhythms.observe(window.workloads, window.lives, values, window.end, step)
            self._last = _Judgement.of(window.lives, strange, self.monthly)
        return self._last.at(window.lives)

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


def _signals(window: Window, newest: int) -> Numbers:
    """Return [containers, FLOORS, newest columns]."""
    return window.signals[:, :, -newest:][:, _LOOKED_AT]


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
