"""What each workload's steps were like: a bounded sample of them, and the portrait made of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.portrait import LEAST_STEPS, LEAST_VARIANCE, Fitted, Portrait, fit, refit
from exporter.assess.repertoire import VIEWS, Bits, Made
from exporter.assess.robust import Numbers
from exporter.assess.slots import fitted as roomy
from exporter.assess.tail import Tail
from exporter.history.windows import Bools, Halves, Integers
from exporter.persist.arrays import Arrays, MismatchError, fitting, numbers

MOST_STEPS, MOST_TOGETHER = 2048, 400_000
"""Steps remembered of one workload, and of all; at 50 calls 40 MB."""
FEWEST_STEPS = 256
MOST_PAIRS, MOST_PAIRS_TOGETHER, FEWEST_PAIRS = 1024, 131_072, 128
"""Pairs told apart of one workload, and of all, a bit a step each; 32 MB if all workloads had all steps and pairs."""
_ROOM = 4
"""Steps that there is room for at first: most workloads that come and go in a minute have no more."""
LONGEST = 16
"""Times the sample after which each further step still replaces another with this one's inverse as probability."""
_TAIL = 3 + VIEWS
"""Numbers saved of a portrait: its tail, and its views' units."""
MOST_FITS, MOST_FITTED = 4, 2048
"""Portraits made in one cycle, and steps that they may have together, unless one alone has more."""


@dataclass
class Habit:
    """One workload's."""

    columns: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """The window's calls that were seen, in the order of their appearance."""
    sample: Halves = field(default_factory=lambda: np.zeros((_ROOM, 0), np.float16))
    """[room, columns], log(1 + count)."""
    places: dict[int, int] = field(default_factory=dict)
    """Which bit stands for each pair; none where the workload is judged by how often it makes calls."""
    bits: Bits = field(default_factory=lambda: np.zeros((_ROOM, 0), np.uint8))
    """[room, bytes], the pairs of the sample."""
    count: int = 0
    seen: int = 0
    """Steps offered to the sample."""
    at_fit: int = 0
    """Steps offered until the portrait was made."""
    fitted: Fitted | None = None

    def learn(self, logs: Numbers, pairs: Integers, most: int, most_pairs: int) -> None:
        """Take the step ``logs`` [calls] into the sample; past ``most`` steps in place of a random other one.

        ``pairs`` are those that it made; past ``most_pairs`` no new ones are told apart.
        """
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
        if self.wants_pairs:
            self._learn_pairs(place, pairs, most_pairs)
        self.count = max(self.count, place + 1)

    def _learn_pairs(self, place: int, pairs: Integers, most: int) -> None:
        new = [pair for pair in pairs.tolist() if pair not in self.places][: max(most - len(self.places), 0)]
        self.places |= {pair: bit for bit, pair in enumerate(new, len(self.places))}
        self.bits = np.asarray(roomy(self.bits, len(self.sample), -(-len(self.places) // 8)), np.uint8)
        self.bits[place] = self.made([pairs]).bits

    def split(self, logs: Numbers) -> tuple[Integers, Bools]:
        """Return the columns that the portrait knows, and the mask of all others."""
        columns = self.columns[: self.fitted.width if self.fitted else 0]
        others = np.ones(logs.shape[1], np.bool_)
        others[columns] = False
        return columns, others

    def made(self, steps: list[Integers]) -> Made:
        """Return the pairs of some ``steps`` as the portrait takes them."""
        known = np.zeros((len(steps), 8 * self.bits.shape[1]), np.bool_)
        for row, pairs in enumerate(steps if self.places else ()):
            known[row, [self.places[pair] for pair in pairs.tolist() if pair in self.places]] = True
        return Made(np.packbits(known, axis=1), np.array([float(len(pairs)) for pairs in steps]))

    @property
    def wants_pairs(self) -> bool:
        """Whether pairs say something of the workload: not where its calls are counted."""
        return self.fitted is None or not isinstance(self.fitted.portrait, Portrait)

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
        self.fitted = fit(self.steps.copy(), self.bits[: self.count].copy())
        if not self.wants_pairs:
            self.places, self.bits = {}, self.bits[:, :0].copy()
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

    def surprisal(self, row: int, logs: Numbers, pairs: list[Integers]) -> Numbers | None:
        """Return minus the log-probability of the steps ``logs`` [steps, calls]; None without a portrait.

        ``pairs`` [steps] are those that each made.
        """
        habit = self._known.get(row)
        if habit is None or habit.fitted is None:
            return None
        columns, others = habit.split(logs)
        return habit.fitted.surprisal(logs[:, columns], logs[:, others], habit.made(pairs))

    def furthest(self, row: int, logs: Numbers) -> Numbers:
        """Return [steps, calls], how many deviations each call of ``logs`` is off, where there is a portrait."""
        habit = self._known[row]
        if habit.fitted is None:
            return np.zeros_like(logs)
        columns, _ = habit.split(logs)
        off: Numbers = logs / np.sqrt(LEAST_VARIANCE)
        off[:, columns] = habit.fitted.portrait.furthest(logs[:, columns])
        return off

    def learn(self, row: int, logs: Numbers, pairs: list[Integers]) -> None:
        """Take up the steps ``logs`` [steps, calls], and the ``pairs`` [steps] that each made."""
        habit = self._known.setdefault(row, Habit())
        most = min(MOST_STEPS, max(MOST_TOGETHER // len(self._known), FEWEST_STEPS))
        most_pairs = min(MOST_PAIRS, max(MOST_PAIRS_TOGETHER // len(self._known), FEWEST_PAIRS))
        for step, made in zip(logs, pairs, strict=True):
            habit.learn(step, made, most, most_pairs)

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
        tails = [(it.tail.floor, it.tail.scale, it.tail.share, *it.units) if it else (0.0,) * _TAIL for it in made]
        widths = [(len(habit.places), habit.bits.shape[1]) for habit in habits]
        return {
            "rows": np.array(list(self._known), np.int64),
            "counts": np.array([(h.count, h.seen, h.at_fit, len(h.columns)) for h in habits], np.int64).reshape(-1, 4),
            "columns": np.concatenate([np.zeros(0, np.int64), *(habit.columns for habit in habits)]),
            "steps": np.concatenate([np.zeros(0, np.float16), *(habit.steps.ravel() for habit in habits)]),
            "tails": np.array(tails, np.float64).reshape(-1, _TAIL),
            "pair_counts": np.array(widths, np.int64).reshape(-1, 2),
            "pairs": np.array([pair for habit in habits for pair in habit.places], np.int64),
            "bits": np.concatenate([np.zeros(0, np.uint8), *(h.bits[: h.count].ravel() for h in habits)]),
        }

    def restore(self, arrays: Arrays, rows: int, calls: int) -> None:
        """Take back what was saved, where so many ``rows`` and ``calls`` are known; raise MismatchError."""
        keys = numbers(arrays, "rows")
        counts = fitting(arrays, "counts", np.empty((len(keys), 4), np.int64))
        tails = fitting(arrays, "tails", np.empty((len(keys), _TAIL)))
        widths = fitting(arrays, "pair_counts", np.empty((len(keys), 2), np.int64))
        if (counts < 0).any() or (counts[:, 0] > MOST_STEPS).any() or any(not 0 <= key < rows for key in keys):
            raise MismatchError("habits are of no workload")
        if (widths < 0).any() or (widths[:, 0] > 8 * widths[:, 1]).any():
            raise MismatchError("habits have more pairs than bits")
        columns = _Cut(fitting(arrays, "columns", np.empty(int(counts[:, 3].sum()), np.int64)))
        steps = _Cut(fitting(arrays, "steps", np.empty(int((counts[:, 0] * counts[:, 3]).sum()), np.float16)))
        pairs = _Cut(fitting(arrays, "pairs", np.empty(int(widths[:, 0].sum()), np.int64)))
        bits = _Cut(fitting(arrays, "bits", np.empty(int((counts[:, 0] * widths[:, 1]).sum()), np.uint8)))
        if ((columns.array < 0) | (columns.array >= calls)).any():
            raise MismatchError("habits are of no call")
        self._known = {}
        for index, key in enumerate(keys):
            count, seen, at_fit, width = counts[index].tolist()
            places = {pair: bit for bit, pair in enumerate(pairs.take(int(widths[index, 0])).tolist())}
            made = bits.take(count * int(widths[index, 1])).reshape(count, int(widths[index, 1]))
            sample = steps.take(count * width).reshape(count, width)
            habit = Habit(columns.take(width), sample, places, made, count, seen, at_fit)
            floor, scale, share, *units = tails[index].tolist()
            if scale > 0 and count >= LEAST_STEPS:
                habit.fitted = refit(sample.copy(), made.copy(), Tail(floor, scale, share), np.array(units))
            self._known[key] = habit


class _Cut:
    """An array that is cut into pieces from its beginning on."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self._at = 0

    def take(self, count: int) -> NDArray[Any]:
        """Return the next ``count`` numbers, the caller's own."""
        begin, self._at = self._at, self._at + count
        return self.array[begin : self._at].copy()


def _chance(number: int) -> int:
    """Return a number that looks like chance, the same after a restart (Knuth's multiplicative hashing)."""
    return (number * 2654435761 & 0xFFFFFFFF) >> 8
