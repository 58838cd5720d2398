"""Which call each workload's threads make after which: learned for a stated time, shared by replicas.

Calls that are all known may still follow each other as never before. How many pairs of a reading are new is judged
against how many were new so far: with m new pairs expected in a reading, no more than m / k of all readings can have k
or more of them (Markov's inequality), however they are distributed. That bound is what evidence is allowed by. The same
pairs are evidence once, so alone they alarm only where more and more of them come.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from exporter.assess.behaviour import ALARM, MONTH, MOST_WORKLOADS, Conduct
from exporter.assess.lifetimes import settled, watched
from exporter.assess.robust import Numbers
from exporter.assess.slots import Slots, make_room
from exporter.history.pairs import CALLS
from exporter.history.windows import Bools, Integers, Pairs, Window
from exporter.persist.arrays import Arrays, MismatchError, fitting, under, within

MOST_OF_ONE: Final = 256
"""Pairs remembered of one workload; those made for the shortest time give way."""
SHARE: Final = 0.05
"""Part of the evidence allowed in all that pairs may bring on ordinary days."""
DOUBT: Final = 1.0
"""New pairs expected beyond what was seen, in as much time again: what comes rarely comes late."""
FORGET: Final = 14 * 86_400.0
"""Seconds in which a pair that is not made any more fades."""
MOST_ELAPSED: Final = 300.0
"""Seconds of learning that one reading may count for."""
_WORKLOAD: Final = CALLS**2


@dataclass(frozen=True)
class NewPairs:
    """Pairs of the newest reading that the workload's profile has not."""

    lives: Integers
    score: Numbers
    """[containers], 0–1, ALARM where as many that were never seen come as often as allowed; 0 without a new reading."""
    strength: Numbers
    """[containers], the same of all pairs of the newest reading that are not learned, for the reasons."""
    watched: Numbers
    """[containers], seconds of the profile."""
    rows: Integers
    """[pairs], the container's row."""
    codes: Integers
    """[pairs]"""
    counts: Numbers
    """[pairs], how often each was made."""

    @classmethod
    def none(cls, lives: Integers) -> Self:
        """Return that nothing is new."""
        zero, nobody = np.zeros(len(lives)), np.zeros(0, np.int64)
        return cls(lives, zero, zero, zero, nobody, nobody, np.zeros(0))

    def named(self, row: int, names: tuple[str, ...]) -> list[tuple[str, str]]:
        """Return the calls of each of a container's new pairs, the most frequent first."""
        mine = np.flatnonzero(self.rows == row)
        codes = self.codes[mine[np.argsort(-self.counts[mine], kind="stable")]].tolist()
        return [(names[code // CALLS], names[code % CALLS]) for code in codes]


class PairProfiles:
    """The pairs of all workloads, in one sorted list: most have few."""

    def __init__(self, learn: float, monthly: float) -> None:
        """Learn for so many seconds; all evidence may come so many times in a container's month."""
        self._learn, self._allowed = learn, SHARE * monthly
        self._slots = Slots(MOST_WORKLOADS)
        self._seconds: Numbers = np.zeros(64)
        self._news: Numbers = np.zeros(64)
        """Pairs that were new, each counted by the square of its part of the time until now: late ones more."""
        self._keys: Integers = np.zeros(0, np.int64)
        """Workload and pair, sorted."""
        self._present: Numbers = np.zeros(0, np.float32)
        """Seconds of readings in which each was made."""
        self._known: Bools = np.zeros(0, np.bool_)
        """Whether it is learned."""
        self._last = NewPairs.none(np.zeros(0, np.int64))

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; pairs are by the columns of the window's calls."""
        table = {"seconds": self._seconds, "news": self._news}
        pairs = {"keys": self._keys, "present": self._present, "known": self._known}
        return under("slots", self._slots.export()) | table | pairs

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        self._seconds = fitting(arrays, "seconds", self._seconds, len(arrays.get("seconds", ())))
        self._news = fitting(arrays, "news", self._news, len(self._seconds))
        self._keys = fitting(arrays, "keys", self._keys, len(arrays.get("keys", ())))
        self._present = fitting(arrays, "present", self._present, len(self._keys))
        self._known = fitting(arrays, "known", self._known, len(self._keys))
        workloads = self._keys // _WORKLOAD
        if (np.diff(self._keys) <= 0).any() or ((workloads < 0) | (workloads >= len(self._seconds))).any():
            raise MismatchError("pairs are of no workload")
        self._slots.restore(within("slots", arrays), len(self._seconds))

    def observe(self, window: Window, conduct: Conduct) -> NewPairs:
        """Compare the newest reading, then learn from it."""
        rows, fresh = self._slots.place(window.workloads)
        make_room(self, ("_seconds", "_news"), int(rows.max(initial=-1)) + 1, fresh)
        if fresh.size:
            self._keep(~np.isin(self._keys // _WORKLOAD, fresh))
        if window.pairs.seconds:
            pairs = _telling(window, conduct)
            self._last = self._compare(window, pairs, rows)
            self._take(pairs, rows, conduct.taught & watched(window))
            return self._last
        if not np.array_equal(window.lives, self._last.lives):
            self._last = NewPairs.none(window.lives)
        return replace(self._last, score=np.zeros(len(window.lives)))

    def _compare(self, window: Window, pairs: Pairs, rows: Integers) -> NewPairs:
        judged = ((self._seconds[rows] >= self._learn) & settled(window, self._learn))[pairs.rows]
        place, listed = self._find(rows[pairs.rows] * _WORKLOAD + pairs.codes)
        known = listed.copy()
        known[listed] = self._known[place[listed]]
        first, new = judged & ~listed, judged & ~known
        score, strength = (
            self._sure(rows, np.bincount(pairs.rows[which], minlength=len(rows)), pairs.seconds)
            for which in (first, new)
        )
        named = pairs.rows[new], pairs.codes[new], pairs.counts[new]
        return NewPairs(window.lives, score, strength, self._seconds[rows], *named)

    def _sure(self, rows: Integers, together: Integers, seconds: float) -> Numbers:
        """Return [containers], 0–1, ALARM where so many new pairs come ``together`` as often as is allowed."""
        readings = np.maximum(self._seconds[rows] / seconds, 1)
        expected = (3 * self._news[rows] + DOUBT) / readings / np.maximum(together, 1)
        ratio = self._allowed * seconds / MONTH / expected
        sure: Numbers = np.where(together > 0, ratio / (ratio + (1 - ALARM) / ALARM), 0.0)
        return sure

    def _take(self, pairs: Pairs, rows: Integers, taught: Bools) -> None:
        """Learn from the reading of the containers that are ``taught`` by."""
        elapsed = min(pairs.seconds, MOST_ELAPSED)
        mine = np.unique(rows[taught])
        before = self._seconds[mine]
        self._seconds[mine] += elapsed
        self._present *= np.float32(max(1 - elapsed / FORGET, 0.0))
        keys = np.unique((rows[pairs.rows] * _WORKLOAD + pairs.codes)[taught[pairs.rows]])
        place, listed = self._find(keys)
        self._present[place[listed]] += np.float32(elapsed)
        new = keys[~listed]
        came = np.bincount(new // _WORKLOAD, minlength=len(self._seconds))[mine]
        self._news[mine] = self._news[mine] * (before / np.maximum(self._seconds[mine], 1e-9)) ** 2 + came
        self._insert(new, elapsed)
        learning = np.zeros(len(self._seconds), np.bool_)
        learning[mine] = before < self._learn
        self._known |= learning[self._keys // _WORKLOAD] | (self._present >= self._learn)
        self._bound()

    def _find(self, keys: Integers) -> tuple[Integers, Bools]:
        """Return the place of each key, and whether it is there."""
        place = np.searchsorted(self._keys, keys)
        listed = np.zeros(len(keys), np.bool_)
        inside = place < len(self._keys)
        listed[inside] = self._keys[place[inside]] == keys[inside]
        return place, listed

    def _insert(self, keys: Integers, elapsed: float) -> None:
        place = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, place, keys)
        self._present = np.insert(self._present, place, np.float32(elapsed))
        self._known = np.insert(self._known, place, np.zeros(len(keys), np.bool_))

    def _bound(self) -> None:
        workloads = self._keys // _WORKLOAD
        _, starts, counts = np.unique(workloads, return_index=True, return_counts=True)
        if counts.max(initial=0) > MOST_OF_ONE:
            order = np.lexsort((-self._present, workloads))
            kept = np.zeros(len(order), np.bool_)
            kept[order[np.arange(len(order)) - np.repeat(starts, counts) < MOST_OF_ONE]] = True
            self._keep(kept)

    def _keep(self, kept: Bools) -> None:
        if not kept.all():
            self._keys, self._present, self._known = self._keys[kept], self._present[kept], self._known[kept]


def _telling(window: Window, conduct: Conduct) -> Pairs:
    """Return the pairs of calls that the profiles know: those of other calls say no more than these calls do."""
    pairs = window.pairs
    familiar = conduct.familiar[pairs.rows, pairs.codes // CALLS] & conduct.familiar[pairs.rows, pairs.codes % CALLS]
    kept = familiar & watched(window)[pairs.rows]
    return Pairs(pairs.rows[kept], pairs.codes[kept], pairs.counts[kept], pairs.seconds)
