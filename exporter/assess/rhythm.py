"""Rhythm: the level of many metrics at each time of day, how they move together, and how strange now is."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.rarity import Tails
from exporter.assess.robust import Numbers
from exporter.assess.slots import Slots, fitted, groups
from exporter.history.windows import Integers
from exporter.persist.arrays import Arrays, fitting, under, within

DAY, PARTS = 86_400.0, 48
"""Half-hours: finer ones learn no better in weeks."""
KERNEL = (1.0, 2.0, 1.0)
"""Weights of the part before, this one and the next: a day does not go by half-hours."""
MEMORY = 14 * DAY
"""What is older than about this fades."""
_BLOCK = 64
"""Containers, or workloads, that are weighed together: each needs several matrices."""
RIDGE = 1.0
"""Added to the correlations: directions that hardly vary are noise, not law (Ledoit and Wolf, 2004)."""
QUICK, SHORT, LONG, LASTING = 300.0, 300.0, 3600.0, 0.5
"""Half-lives in seconds: of the level that a jump is measured from, and of evidence; the weight of the longer one."""
SETTLED = 0.05
"""Pace at which a finished profile still learns: slow change is taken up, an attack of days hardly."""
ODD = 2.0
"""Distance from which an observation teaches less, by its square (Huber's weights)."""
MOST_GAP = 3.0
"""Half-lives without a sample after which evidence, and the level that jumps are measured from, are void."""
MOST_WORKLOADS, MOST_LIVES = 1024, 512


@dataclass(frozen=True)
class Strange:
    """What stands out."""

    rate: Numbers
    """[containers], scores as high a container-month; infinite while too little is known."""
    score: Numbers
    """[containers], evidence, 1 about usual; comparable within a workload only."""
    offset: Numbers
    """[containers, metrics], distance from the usual level in standard deviations; 0 where nothing was seen."""
    usual: Numbers
    """[containers, metrics], the level at this time of day."""
    seen: Numbers
    """[containers], seconds that the workload was watched."""


@dataclass
class _Workloads:
    """A row per workload: ``joint`` is the second moment of offsets and jumps side by side."""

    metrics: int
    seen: Numbers = field(init=False)
    mean: Numbers = field(init=False)
    weight: Numbers = field(init=False)
    level: Numbers = field(init=False)
    joint: Numbers = field(init=False)

    def __post_init__(self) -> None:
        self.seen = np.zeros(0)
        self.mean = np.zeros((0, self.metrics))
        self.weight = np.zeros((0, PARTS), dtype=np.float32)
        self.level = np.zeros((0, PARTS, self.metrics), dtype=np.float32)
        self.joint = np.zeros((0, 2 * self.metrics, 2 * self.metrics), dtype=np.float32)


@dataclass
class _Lives:
    """A row per container."""

    metrics: int
    at: Numbers = field(init=False)
    quick: Numbers = field(init=False)
    short: Numbers = field(init=False)
    long: Numbers = field(init=False)

    def __post_init__(self) -> None:
        self.at = np.zeros(0)
        self.quick = np.zeros((0, self.metrics))
        self.short = np.zeros(0)
        self.long = np.zeros(0)


class Rhythms:
    """Judges each observation by what its workload did before, then learns from it; the first day only teaches.

    The score is a Mahalanobis distance over offsets from the time-of-day level and jumps from the last minutes, held
    for some minutes and, in part, for an hour, since trouble lasts longer than its first sign.
    """

    def __init__(self, floors: NDArray[np.floating], learn: float) -> None:
        self._learn_for = learn
        self._floors = np.asarray(floors, dtype=np.float64)
        self._workloads, self._lives = _Workloads(self._floors.size), _Lives(self._floors.size)
        self._tails = Tails()
        self._of_workloads, self._of_lives = Slots(MOST_WORKLOADS), Slots(MOST_LIVES)

    def observe(self, workloads: Integers, lives: Integers, values: Numbers, at: float, step: float) -> Strange:
        """Return how strange ``values`` [containers, metrics] are, means of the ``step`` seconds until ``at``."""
        rows, fresh = self._of_workloads.place(workloads)
        count = int(rows.max(initial=-1)) + 1
        _prepare(self._workloads, count, fresh)
        self._tails.prepare(count, fresh)
        part = int(at % DAY * PARTS / DAY)
        usual = self._usual(rows, part, step)
        known = np.isfinite(values) & (self._workloads.seen[rows] > 0)[:, None]
        offset = np.where(known, values - usual, 0)
        lived, jump = self._jump(lives, values, at, step)
        both = np.concatenate([offset, np.where(known, jump, 0)], axis=1)
        scale = self._scale(rows)
        scaled = both / scale
        distance = self._distance(rows, scaled, scale)
        score = self._evidence(lived, distance, at, step)
        rate = self._tails.rate(rows, score, step)
        watched = np.isfinite(values).any(axis=1)
        seen = self._workloads.seen[rows]
        teaches = np.where(seen < self._learn_for, 1.0, SETTLED) * (ODD / np.maximum(distance, ODD)) ** 2 * watched
        self._tails.count(rows, score, np.where(seen >= DAY, teaches, 0), MEMORY / step)
        self._learn(rows, part, values, both, teaches, step)
        return Strange(rate, score, scaled[:, : self._floors.size], usual, seen)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        saved = under("of_workloads", self._of_workloads.export()) | under("of_lives", self._of_lives.export())
        for name, table in (("workloads", self._workloads), ("lives", self._lives)):
            saved |= under(name, {key: value for key, value in vars(table).items() if key != "metrics"})
        return saved | under("tails", self._tails.export())

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        for name, table in (("workloads", self._workloads), ("lives", self._lives)):
            part = within(name, arrays)
            rows = len(part.get("seen" if name == "workloads" else "at", ()))
            for key, like in vars(table).items():
                if key != "metrics":
                    setattr(table, key, fitting(part, key, like, rows))
        self._tails.restore(within("tails", arrays))
        self._of_workloads.restore(within("of_workloads", arrays), len(self._workloads.seen))
        self._of_lives.restore(within("of_lives", arrays), len(self._lives.at))

    def _usual(self, rows: Integers, part: int, step: float) -> Numbers:
        """Return [containers, metrics] level at this time of day; what one day alone says counts half."""
        near = [(part + shift) % PARTS for shift in (-1, 0, 1)]
        weight = self._workloads.weight[rows[:, None], near] * np.array(KERNEL)
        plain = sum(KERNEL) * DAY / PARTS / step
        levels = np.einsum("rp,rpm->rm", weight, self._workloads.level[rows[:, None], near])
        level: Numbers = (levels + plain * self._workloads.mean[rows]) / (weight.sum(axis=1) + plain)[:, None]
        return level

    def _jump(self, lives: Integers, values: Numbers, at: float, step: float) -> tuple[Integers, Numbers]:
        """Return each container's row, and [containers, metrics] how far it is from its last minutes."""
        rows, fresh = self._of_lives.place(lives)
        _prepare(self._lives, int(rows.max(initial=-1)) + 1, fresh)
        quick = self._lives.quick
        quick[fresh] = np.nan
        quick[rows[at - self._lives.at[rows] > MOST_GAP * max(QUICK, step)]] = np.nan
        filled = np.where(np.isfinite(quick[rows]), quick[rows], values)
        weight = 1 - 0.5 ** (step / QUICK)
        moved = filled + weight * (values - filled)
        quick[rows] = np.where(np.isfinite(moved), moved, filled)
        return rows, values - quick[rows]

    def _scale(self, rows: Integers) -> Numbers:
        """Return [containers, offsets and jumps], one standard deviation of each, never under what is worth a word."""
        variance = np.diagonal(self._workloads.joint[rows], axis1=1, axis2=2)
        scale: Numbers = np.sqrt(variance + np.tile(self._floors, 2) ** 2)
        return scale

    def _distance(self, rows: Integers, scaled: Numbers, scale: Numbers) -> Numbers:
        """Return [containers] Mahalanobis distance, about 1 where all is as usual."""
        distance = np.zeros(len(rows))
        for start in range(0, len(rows), _BLOCK):
            those = slice(start, start + _BLOCK)
            joint = self._workloads.joint[rows[those]] / scale[those, :, None] / scale[those, None, :]
            joint += RIDGE * np.eye(scaled.shape[1])
            solved = np.linalg.solve(joint, scaled[those, :, None])[:, :, 0]
            squares = (scaled[those] * solved).sum(axis=1) / scaled.shape[1]
            distance[those] = np.sqrt(np.maximum(squares, 0))
        return distance

    def _evidence(self, rows: Integers, distance: Numbers, at: float, step: float) -> Numbers:
        """Return [containers], ``distance`` held for some minutes and a part of it for an hour."""
        lives = self._lives
        gap = at - lives.at[rows]
        for held, half in ((lives.short, SHORT), (lives.long, LONG)):
            # The weights of an average that has just begun add up to one as well.
            keep = np.where(gap < MOST_GAP * half, 0.5 ** (step / half), 0)
            held[rows] = keep * held[rows] + (1 - keep) * distance
        lives.at[rows] = at
        score: Numbers = (lives.short[rows] + LASTING * lives.long[rows]) / (1 + LASTING)
        return score

    def _learn(self, rows: Integers, part: int, values: Numbers, both: Numbers, teaches: Numbers, step: float) -> None:
        """Take up one observation a workload: replicas count as their mean."""
        table, most = self._workloads, MEMORY / step
        mine, starts, order = groups(rows, teaches > 0)
        if not order.size:
            return
        share = 1 / np.diff(np.append(starts, order.size))
        weight = np.add.reduceat(teaches[order], starts) * share
        seen = table.seen[mine] / step
        sight = np.isfinite(values[order])
        parts = np.maximum(np.add.reduceat(sight.astype(np.float64), starts, axis=0), 1e-9)
        value = np.add.reduceat(np.where(sight, values[order], 0), starts, axis=0) / parts
        known = parts >= 1
        rate = (weight / np.minimum(seen + 1, most))[:, None]
        table.mean[mine] += np.where(known, np.where(seen[:, None] > 0, rate, 1) * (value - table.mean[mine]), 0)
        held = table.weight[mine, part]
        pace = (weight / np.minimum(held + weight, most / PARTS))[:, None]
        table.level[mine, part] += np.where(known, pace * (value - table.level[mine, part]), 0)
        table.weight[mine, part] = np.minimum(held + weight, most / PARTS)
        for start in range(0, len(mine), _BLOCK):
            those = slice(start, start + _BLOCK)
            replicas = order[starts[start] : np.append(starts, order.size)[: start + _BLOCK + 1][-1]]
            square = np.einsum("ri,rj->rij", both[replicas], both[replicas])
            square = np.add.reduceat(square, starts[those] - starts[start], axis=0) * share[those, None, None]
            table.joint[mine[those]] += rate[those, :, None] * (square - table.joint[mine[those]])
        table.seen[mine] += step


def _prepare(table: _Workloads | _Lives, rows: int, fresh: Integers) -> None:
    """Make room, and forget what rows that changed hands held."""
    for name, array in vars(table).items():
        if name != "metrics":
            setattr(table, name, fitted(array, rows))
            getattr(table, name)[fresh] = 0
