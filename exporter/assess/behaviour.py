"""What each workload calls the kernel for: learned for a stated time, then compared with what its containers do now."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.assess.grades import births, weights
from exporter.assess.habits import Habits
from exporter.assess.robust import Numbers
from exporter.assess.slots import Slots, fitted, groups, make_room
from exporter.history.windows import Bools, Integers, Window
from exporter.persist.arrays import Arrays, fitting, under, within

MOST_WORKLOADS = 2048
"""Workloads remembered when they have no container; at 400 calls 5 MB."""
START_UP = 60.0
"""Seconds after a start that neither teach nor accuse: the runtime itself mounts and pivots inside the container."""
MONTH: Final = 30 * 86_400.0
ALARM: Final = 0.8
"""The departure that comes as often as the user allows for."""
STEEP = 3.0
"""How fast the departure falls off under that."""
WORTH_TELLING = 0.5
CALM = 20
"""Steps without an alarm before a container teaches again: an intruder's next steps may look ordinary."""

_Made = tuple[Numbers, list[Integers]]
"""[containers, calls], logarithms of 1 + count, and [containers], pairs."""

LASTING = 16
"""Learning times without rest from alarms after which a container teaches again: that change has come to stay."""


@dataclass(frozen=True)
class Conduct:
    """What the containers do now against what their workloads did."""

    finished: Bools
    """[containers], the workload was watched for the learning time."""
    unknown: Bools
    """[containers, calls], made now and never while learned; False while learning."""
    departure: Numbers
    """[containers], how improbable this step's counts are, 0–1; ALARM as often as allowed; 0 while learning."""
    off: Numbers
    """[containers, calls], deviations from what is usual, signed; 0 where the departure is small."""
    news: Numbers
    """[containers], new calls a step to be expected by how they came while learned."""
    watched: Numbers
    """[containers], steps in which the workload was watched."""
    familiar: Bools
    """[containers, calls], in the profile."""
    taught: Bools
    """[containers], whose doings the profile takes up."""


@dataclass
class _Table:
    """A row per workload."""

    seconds: Numbers = field(default_factory=lambda: np.zeros(64))
    known: Bools = field(default_factory=lambda: np.zeros((64, 0), dtype=np.bool_))
    present: Numbers = field(default_factory=lambda: np.zeros((64, 0), dtype=np.float32))
    news: Numbers = field(default_factory=lambda: np.zeros(64))
    """Times at which a call was new, each counted by the square of its part of the time until now: late ones more."""

    def prepare(self, rows: int, calls: int, fresh: Integers) -> None:
        """Make room, and forget what rows that changed hands held."""
        make_room(self, ("known", "present"), rows, fresh, calls)
        make_room(self, ("seconds", "news"), rows, fresh)

    def restored(self, arrays: Arrays) -> "_Table":
        """Return the saved table of as many rows and calls as it has; raise MismatchError."""
        rows, calls = arrays["known"].shape if "known" in arrays else self.known.shape
        likes = {name: np.empty((rows, calls)[: array.ndim], array.dtype) for name, array in vars(self).items()}
        return _Table(**{name: fitting(arrays, name, like) for name, like in likes.items()})


class Behaviour:
    """Learned calls and habits by workload."""

    def __init__(self, learn: float, monthly: float) -> None:
        """Learn for so many seconds; alarm, on ordinary days, so many times in a container's month."""
        self._learn = learn
        self._monthly = monthly
        self._slots = Slots(MOST_WORKLOADS)
        self._table = _Table()
        self._habits = Habits()
        self._lives = Slots(MOST_WORKLOADS)
        self._uneasy = np.zeros(64, np.int64)
        """Steps until a life teaches again."""
        self._strange = np.zeros(64)
        """Seconds for which it has not taught."""

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; its columns are the window's calls."""
        parts = {"slots": self._slots.export(), "table": vars(self._table), "habits": self._habits.export()}
        lives = under("lives", self._lives.export()) | {"uneasy": self._uneasy, "strange": self._strange}
        return {name: array for part, it in parts.items() for name, array in under(part, it).items()} | lives

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        self._table = self._table.restored(within("table", arrays))
        self._slots.restore(within("slots", arrays), len(self._table.seconds))
        self._habits.restore(within("habits", arrays), *self._table.known.shape)
        self._uneasy = fitting(arrays, "uneasy", self._uneasy, len(arrays.get("uneasy", ())))
        self._strange = fitting(arrays, "strange", self._strange, len(self._uneasy))
        self._lives.restore(within("lives", arrays), len(self._uneasy))

    def observe(self, window: Window, elapsed: float, ordinary: Bools) -> Conduct:
        """Compare, then learn from ``elapsed`` more seconds.

        ``ordinary`` [calls] are those that a finished profile may still take up once they were made for as long as
        learning takes, since programs are updated; the others stay strange for ever.
        """
        rows, fresh = self._slots.place(window.workloads)
        self._table.prepare(int(rows.max(initial=-1)) + 1, len(window.syscall_names), fresh)
        self._habits.forget(fresh)
        watched = _watched(window)
        active = np.where(watched[:, None], window.syscalls > 0, False)
        finished = self._table.seconds[rows] >= self._learn
        unknown = active & ~self._table.known[rows] & finished[:, None] & ~_explained(active, window.syscall_names)
        # As the sample keeps them: what regular programs differ by is less than what rounding makes.
        logs = np.log1p(np.nan_to_num(window.syscalls) * window.step).astype(np.float16).astype(np.float32)
        pairs = _pairs(window)
        departure, off = self._compare(rows, watched & finished, (logs, pairs), window.step)
        steps = self._table.seconds[rows] / window.step
        news = 3 * self._table.news[rows] / np.maximum(steps, 1)
        self._learn_calls(rows, watched, active, elapsed, ordinary, window)
        taught = self._teaching(window, departure, elapsed) & watched if elapsed > 0 else np.zeros_like(watched)
        self._learn_habits(rows, taught, (logs, pairs))
        return Conduct(finished, unknown, departure, off, news, steps, self._table.known[rows], taught)

    def _compare(self, rows: Integers, judged: Bools, made: _Made, step: float) -> tuple[Numbers, Numbers]:
        logs, pairs = made
        departure, off = np.zeros(len(rows)), np.zeros(logs.shape, np.float32)
        allowed = -np.log(min(self._monthly * step / MONTH, 0.5))
        for row, order in _runs(rows, judged):
            found = self._habits.surprisal(row, logs[order], [pairs[each] for each in order])
            if found is not None:
                part = (found / allowed) ** STEEP
                departure[order] = part / (part + (1 - ALARM) / ALARM)
                high = order[departure[order] > WORTH_TELLING]
                if high.size:
                    off[high] = self._habits.furthest(row, logs[high])
        return departure, off

    def _teaching(self, window: Window, departure: Numbers, elapsed: float) -> Bools:
        """Return [containers], whose steps may be learned: no alarm lately, or a new release, or a lasting change."""
        rows, fresh = self._lives.place(window.lives)
        count = int(rows.max(initial=-1)) + 1
        self._uneasy = np.asarray(fitted(self._uneasy, count), np.int64)
        self._strange = np.asarray(fitted(self._strange, count), np.float64)
        self._uneasy[fresh], self._strange[fresh] = 0, 0
        self._uneasy[rows] = left = np.where(departure > ALARM, CALM, np.maximum(self._uneasy[rows] - 1, 0))
        self._strange[rows] = strange = np.where(left > 0, self._strange[rows] + elapsed, 0)
        with np.errstate(invalid="ignore"):
            new = window.end - window.started < START_UP + self._learn
        taught: Bools = (left == 0) | new | (strange > LASTING * self._learn)
        return taught

    def _learn_calls(
        self, rows: Integers, watched: Bools, active: Bools, elapsed: float, ordinary: Bools, window: Window
    ) -> None:
        table = self._table
        for_workload, starts, order = groups(rows, watched)
        if not for_workload.size:
            return
        made = np.logical_or.reduceat(active[order], starts, axis=0)
        learning = table.seconds[for_workload] < self._learn
        before = table.seconds[for_workload]
        table.seconds[for_workload] += elapsed
        table.present[for_workload] += elapsed * made
        settled = (table.present[for_workload] >= self._learn) & ordinary
        taken = made & (learning[:, None] | settled) & ~table.known[for_workload]
        new = (taken & (weights(window.syscall_names) > 0)).any(axis=1)
        aged = (before / np.maximum(table.seconds[for_workload], 1e-9)) ** 2
        table.news[for_workload] = table.news[for_workload] * aged + new
        table.known[for_workload] |= taken

    def _learn_habits(self, rows: Integers, taught: Bools, made: _Made) -> None:
        logs, pairs = made
        for row, order in _runs(rows, taught):
            self._habits.learn(row, logs[order], [pairs[each] for each in order])
        self._habits.draw(set(rows[self._table.seconds[rows] >= self._learn].tolist()))


def _watched(window: Window) -> Bools:
    with np.errstate(invalid="ignore"):
        starting = window.end - window.started < START_UP + window.step
    return np.isfinite(window.syscalls).any(axis=1) & ~starting


def _pairs(window: Window) -> list[Integers]:
    """Return the pairs that each container made."""
    order = np.argsort(window.pairs.rows, kind="stable")
    ends = np.cumsum(np.bincount(window.pairs.rows, minlength=len(window.lives)))
    return np.split(window.pairs.codes[order], ends[:-1]) if len(ends) else []


def _explained(active: Bools, names: tuple[str, ...]) -> Bools:
    """Return [containers, calls], which the birth of a thread explains."""
    telling, born_with = births(names)
    explained: Bools = np.logical_or.reduce(active[:, telling], axis=1)[:, None] & born_with
    return explained


def _runs(rows: Integers, chosen: Bools) -> list[tuple[int, Integers]]:
    """Return each distinct row among the chosen, and who has it."""
    distinct, starts, order = groups(rows, chosen)
    return list(zip(distinct.tolist(), np.split(order, starts[1:]), strict=True)) if distinct.size else []
