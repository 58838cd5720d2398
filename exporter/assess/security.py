"""Security risk: what a workload never did while it was learned, put together.

Calls that it never made say as much as their names (grades.py). A profile that has been watched for long without a new
call makes any new call that says something an alarm, as often as the user allows for: how often new calls come is
estimated from how they came so far (Good and Turing's question, answered by time). New destinations, computing and the
rewriting of files out of all proportion (customs.py) add to that; only the last is an alarm alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.behaviour import ALARM, MONTH, Conduct
from exporter.assess.customs import KINDS, Customs
from exporter.assess.grades import ORDINARY, families, weights
from exporter.assess.held import Held
from exporter.assess.lifetimes import settled
from exporter.assess.robust import Numbers
from exporter.assess.slots import Slots, make_room
from exporter.history.windows import Bools, Integers, Window
from exporter.persist.arrays import Arrays, fitting, under, within

MOST_ORDINARY = 0.5
"""What all ordinary calls together may reach in a young profile: a new release makes many, none of them dangerous."""
DESTINATION = 0.5
"""Weight of a protocol that was never spoken: alone, and with the calls that come with a first connection, no alarm."""
EXCESS = np.array([0.65, 0.85])
"""Weight of each of KINDS: hard work alone is no crime, the rewriting of file after file an alarm."""
MOST_LIVES = 2048
DOUBT = 0.03
"""New calls that are expected beyond what was seen, in as much time again as the workload was watched."""
RARER = 0.5
"""How much rarer it is that one more call is new at the same time."""


@dataclass(frozen=True)
class Risk:
    """What was found, and its parts."""

    score: Numbers
    """[containers], 0–1."""
    calls: Numbers
    """[containers, calls], what each new call says."""
    destinations: Numbers
    """[containers, protocols], what each new destination says."""
    excess: Numbers
    """[containers, KINDS], what each excess says."""
    times: Numbers
    """[containers, KINDS], now against the most that was seen."""
    since: Numbers
    """[containers], epoch seconds of the first evidence."""
    watched: Numbers
    """[containers], seconds for which the workload was watched."""


class Security:
    """Evidence by container."""

    def __init__(self, learn: float, monthly: float, hold: float) -> None:
        """Know a container after ``learn`` seconds; alarm ``monthly`` times at ordinary calls; hold so many seconds."""
        self._learn, self._monthly = learn, monthly
        self._customs = Customs(learn)
        self._slots = Slots(MOST_LIVES)
        self._calls, self._destinations, self._excess = Held(hold), Held(hold), Held(hold)
        self._closed: Numbers = np.zeros(64)
        """How sure the profile was when an unknown call came."""
        self._watched: Numbers = np.zeros(64)
        """Seconds for which the life was seen."""
        self._times: Numbers = np.zeros((64, len(KINDS)))
        """The excess that is held, against the most that was seen."""
        self.since: Numbers = np.zeros(64)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; its columns are the window's calls and protocols."""
        saved = {"closed": self._closed, "watched": self._watched, "since": self.since, "times": self._times}
        saved |= under("slots", self._slots.export()) | under("customs", self._customs.export())
        for name, held in self._held().items():
            saved |= under(name, held.export())
        return saved

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        for name, held in self._held().items():
            held.restore(within(name, arrays))
        rows = min(held.rows for held in self._held().values())
        self._closed = fitting(arrays, "closed", self._closed, rows)
        self._watched = fitting(arrays, "watched", self._watched, rows)
        self._times = fitting(arrays, "times", self._times, rows)
        self.since = fitting(arrays, "since", self.since, rows)
        self._customs.restore(within("customs", arrays))
        self._slots.restore(within("slots", arrays), rows)

    def ordinary(self, names: tuple[str, ...]) -> Bools:
        """Return [calls], those that a finished profile may still take up."""
        return weights(names) <= ORDINARY

    def assess(self, window: Window, conduct: Conduct, elapsed: float) -> Risk:
        """Return the risk of now; each call also learns from ``elapsed`` more seconds."""
        breach = self._customs.observe(window, elapsed)
        rows = self._place(window)
        grade = weights(window.syscall_names)
        before, strength = self._calls.take(rows, conduct.unknown.astype(np.float32), elapsed)
        old, new = self._destinations.take(rows, breach.destinations.astype(np.float32), elapsed)
        earlier, excess = self._excess.take(rows, breach.excess, elapsed)
        quiet = ~((before * (grade > 0)).any(axis=1) | old.any(axis=1) | earlier.any(axis=1))
        news: Bools = np.logical_or.reduce(conduct.unknown & (grade > 0), axis=1)
        begun = news | breach.destinations.any(axis=1) | breach.excess.any(axis=1)
        self.since[rows] = np.where(begun & quiet, window.end, self.since[rows])
        self._times[rows] = np.where(excess > breach.excess, self._times[rows], breach.times)
        self._watched[rows] += np.where(np.isfinite(window.syscalls).any(axis=1), elapsed, 0)
        closed = self._close(rows, window, conduct, news, before)
        told = np.where(grade > 0, strength, 0).max(axis=1, initial=0)
        parts, spoken, done = grade * strength, DESTINATION * new, EXCESS * excess
        score = np.maximum(_together(window.syscall_names, parts, spoken, done), closed * told)
        return Risk(score, parts, spoken, done, self._times[rows], self.since[rows], conduct.watched * window.step)

    def _held(self) -> dict[str, Held]:
        return {"calls": self._calls, "destinations": self._destinations, "excess": self._excess}

    def _place(self, window: Window) -> Integers:
        rows, fresh = self._slots.place(window.lives)
        count = int(rows.max(initial=-1)) + 1
        widths = (len(window.syscall_names), len(window.protocol_names), len(KINDS))
        for held, width in zip(self._held().values(), widths, strict=True):
            held.prepare(count, width, fresh)
        make_room(self, ("_closed", "_watched", "_times", "since"), count, fresh)
        return rows

    def _close(self, rows: Integers, window: Window, conduct: Conduct, news: Bools, before: Numbers) -> Numbers:
        """Return [containers], how sure the profile was when the new calls came that are held."""
        telling = weights(window.syscall_names) > 0
        held = np.where((before * telling).any(axis=1), self._closed[rows], 0)
        known = (self._watched[rows] >= self._learn) & settled(window, self._learn)
        sure = np.where(known, self._sure(conduct, window.step, telling), 0)
        closed: Numbers = np.where(news, np.maximum(sure, held), held)
        self._closed[rows] = closed
        return closed

    def _sure(self, conduct: Conduct, step: float, telling: Bools) -> Numbers:
        """Return [containers], 0–1, ALARM where new calls are expected as often as alarms are allowed.

        It is asked of containers past their learning time: before, one may be of a new release, and its news ordinary.
        """
        together = (conduct.unknown & telling).sum(axis=1)
        expected = conduct.news * RARER ** np.maximum(together - 1, 0) + DOUBT / np.maximum(conduct.watched, 1)
        ratio = self._monthly * step / MONTH / expected
        sure: Numbers = ratio / (ratio + (1 - ALARM) / ALARM)
        return sure


def _together(names: tuple[str, ...], calls: Numbers, destinations: Numbers, excess: Numbers) -> Numbers:
    """Return [containers]: each piece of evidence takes its part of what the others left open."""
    spoken = destinations.max(axis=1, initial=0)
    doubt = (1 - spoken) * np.prod(1 - excess, axis=1)
    grave, kin = weights(names) > ORDINARY, families(names)
    for name, members in kin.items():
        strongest = calls[:, members].max(axis=1, initial=0)
        # A new destination says what the calls of a connection say, and more.
        doubt *= 1 - (np.where(spoken > 0, 0, strongest) if name == "network" else strongest)
    alone = ~np.logical_or.reduce(list(kin.values()))
    doubt *= np.prod(1 - calls[:, grave & alone], axis=1)
    small = np.minimum(1 - np.prod(1 - calls[:, ~grave], axis=1), MOST_ORDINARY)
    together: Numbers = 1 - doubt * (1 - small)
    return together
