"""What each workload's steps were like: a bounded sample of them, and the portrait made of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.portrait import LEAST_STEPS, LEAST_VARIANCE, Fitted, fit, refit
from exporter.assess.robust import Numbers
from exporter.assess.slots import fitted as roomy
from exporter.assess.tail import Tail
from exporter.history.windows import Bools, Halves, Integers
from exporter.persist.arrays import Arrays, MismatchError, fitting, numbers

MOST_STEPS, MOST_TOGETHER = 2048, 400_000
"""Steps remembered of one workload, and of all; at 50 calls 40 MB."""
FEWEST_STEPS = 256
_ROOM = 4
"""Steps that there is room for at first: most workloads that come and go in a minute have no more."""
LONGEST = 16
"""Times the sample after which each further step still replaces another with this one's inverse as probability."""
MOST_FITS, MOST_FITTED = 4, 2048
"""Portraits made in one cycle, and steps that they may have together, unless one alone has more."""


@dataclass
class Habit:
    """One workload's."""

    columns: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """The window's calls that were seen, in the order of their appearance."""
    sample: Halves = field(default_factory=lambda: np.zeros((_ROOM, 0), np.float16))
    """[room, columns], log(1 + count)."""
    count: int = 0
    seen: int = 0
    """Steps offered to the sample."""
    at_fit: int = 0
    """Steps offered until the portrait was made."""
    fitted: Fitted | None = None

    def learn(self, logs: Numbers, most: int) -> None:
        """Take the step ``logs`` [calls] into the sample; past ``most`` steps in place of a random other one."""
        if np.count_nonzero(logs) > np.count_nonzero(logs[self.columns]):
            self.columns = np.append(self.columns, np.setdiff1d(np.flatnonzero(logs), self.columns))
        self.seen += 1
        self.count = min(self.count, most)
        place = self.count if self.count < most else _chance(self.seen) % min(self.seen, LONGEST * most)
        if place >= most:
            return
        grown = roomy(self.sample, min(place + 1, most), len(self.columns))
        self.sample = np.asarray(grown, np.float16)
        self.sample[place] = logs[self.columns]
        self.count = max(self.count, place + 1)

    def split(self, logs: Numbers) -> tuple[Integers, Bools]:
        """Return the columns that the portrait knows, and the mask of all others."""
        columns = self.columns[: self.fitted.width if self.fitted else 0]
        others = np.ones(logs.shape[1], np.bool_)
        others[columns] = False
        return columns, others

    @property
    def steps(self) -> Halves:
        """The sample, [steps, columns]."""
        return self.sample[: self.count]

    @property
    def ripe(self) -> bool:
        """Whether twice as many steps were seen as the portrait is made of."""
        return self.count >= LEAST_STEPS and self.seen >= 2 * self.at_fit

    def draw(self) -> None:
        """Make the portrait."""
        self.fitted = fit(self.steps.copy())
        # A full sample is drawn anew when half of it has changed.
        changing = min(self.seen, LONGEST * MOST_STEPS) // 2
        self.at_fit = self.seen if self.seen < MOST_STEPS else (self.seen + changing) // 2


class Habits:
    """By the row that the workload has among the learned ones."""

    def __init__(self) -> None:
        self._known: dict[int, Habit] = {}

    def forget(self, rows: Integers) -> None:
        """Begin anew for ``rows``, which changed hands."""
        for row in rows.tolist():
            self._known.pop(row, None)

    def surprisal(self, row: int, logs: Numbers) -> Numbers | None:
        """Return minus the log-probability of the steps ``logs`` [steps, calls]; None without a portrait."""
        habit = self._known.get(row)
        if habit is None or habit.fitted is None:
            return None
        columns, others = habit.split(logs)
        return habit.fitted.surprisal(logs[:, columns], logs[:, others])

    def furthest(self, row: int, logs: Numbers) -> Numbers:
        """Return [steps, calls], how many deviations each call of ``logs`` is off, where there is a portrait."""
        habit = self._known[row]
        if habit.fitted is None:
            return np.zeros_like(logs)
        columns, _ = habit.split(logs)
        off: Numbers = logs / np.sqrt(LEAST_VARIANCE)
        off[:, columns] = habit.fitted.portrait.furthest(logs[:, columns])
        return off

    def learn(self, row: int, logs: Numbers) -> None:
        """Take up the steps ``logs`` [steps, calls]."""
        habit = self._known.setdefault(row, Habit())
        most = min(MOST_STEPS, max(MOST_TOGETHER // len(self._known), FEWEST_STEPS))
        for step in logs:
            habit.learn(step, most)

    def draw(self, finished: set[int]) -> None:
        """Make the portraits of some workloads that wait for theirs."""
        ripe = [habit for row, habit in self._known.items() if row in finished and habit.ripe]
        ripe.sort(key=lambda habit: habit.at_fit)
        steps = 0
        for habit in ripe[:MOST_FITS]:
            steps += habit.count
            if steps > MOST_FITTED and steps > habit.count:
                break
            habit.draw()

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; its columns are the window's calls."""
        habits = self._known.values()
        made = [habit.fitted for habit in habits]
        tails = [(it.tail.floor, it.tail.scale, it.tail.share) if it else (0.0, 0.0, 0.0) for it in made]
        return {
            "rows": np.array(list(self._known), np.int64),
            "counts": np.array([(h.count, h.seen, h.at_fit, len(h.columns)) for h in habits], np.int64).reshape(-1, 4),
            "columns": np.concatenate([np.zeros(0, np.int64), *(habit.columns for habit in habits)]),
            "steps": np.concatenate([np.zeros(0, np.float16), *(habit.steps.ravel() for habit in habits)]),
            "tails": np.array(tails, np.float64).reshape(-1, 3),
        }

    def restore(self, arrays: Arrays, rows: int, calls: int) -> None:
        """Take back what was saved, where so many ``rows`` and ``calls`` are known; raise MismatchError."""
        keys = numbers(arrays, "rows")
        counts = fitting(arrays, "counts", np.empty((len(keys), 4), np.int64))
        tails = fitting(arrays, "tails", np.empty((len(keys), 3)))
        if (counts < 0).any() or (counts[:, 0] > MOST_STEPS).any() or any(not 0 <= key < rows for key in keys):
            raise MismatchError("habits are of no workload")
        columns = fitting(arrays, "columns", np.empty(int(counts[:, 3].sum()), np.int64))
        steps = fitting(arrays, "steps", np.empty(int((counts[:, 0] * counts[:, 3]).sum()), np.float16))
        if ((columns < 0) | (columns >= calls)).any():
            raise MismatchError("habits are of no call")
        self._known, one, other = {}, 0, 0
        for key, (count, seen, at_fit, width), tail in zip(keys, counts.tolist(), tails.tolist(), strict=True):
            sample = steps[other : other + count * width].reshape(count, width).copy()
            habit = Habit(columns[one : one + width].copy(), sample, count, seen, at_fit)
            if tail[1] > 0 and count >= LEAST_STEPS:
                habit.fitted = refit(sample.copy(), Tail(*tail))
            self._known[key] = habit
            one, other = one + width, other + count * width


def _chance(number: int) -> int:
    """Return a number that looks like chance, the same after a restart (Knuth's multiplicative hashing)."""
    return (number * 2654435761 & 0xFFFFFFFF) >> 8
