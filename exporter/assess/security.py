"""Security risk: calls a workload never made while it was learned.

What one says grows with its name (grades.py) and with the profile: in one that has been watched for long without a new
call, any new call that says something at all is an alarm, as often as the user allows for. How often new calls come is
estimated from how they came so far (Good and Turing's question, answered by time).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.behaviour import ALARM, MONTH, Conduct
from exporter.assess.grades import ORDINARY, weights
from exporter.assess.robust import Numbers
from exporter.assess.slots import Slots, fitted
from exporter.history.windows import Bools, Window
from exporter.persist.arrays import Arrays, fitting, under, within

MOST_ORDINARY = 0.5
"""What all ordinary calls together may reach in a young profile: a new release makes many, none of them dangerous."""
FADE = 7 / 3
"""Times that evidence takes to fade, in times that it is held."""
MOST_LIVES = 2048
DOUBT = 0.03
"""New calls that are expected beyond what was seen, in as much time again as the workload was watched."""

RARER = 0.5
"""How much rarer it is that one more call is new at the same time."""


class Security:
    """Evidence by container, held for some minutes since an intruder's call may last a millisecond."""

    def __init__(self, learn: float, monthly: float, hold: float) -> None:
        """Know a container after ``learn`` seconds; alarm ``monthly`` times at ordinary calls; hold so many seconds."""
        self._learn, self._monthly, self._hold = learn, monthly, hold
        self._slots = Slots(MOST_LIVES)
        self._left: Numbers = np.zeros((64, 0), dtype=np.float32)
        self._closed: Numbers = np.zeros(64)
        """How sure the profile was when an unknown call came."""
        self._watched: Numbers = np.zeros(64)
        """Seconds for which the life was seen."""
        self.since: Numbers = np.zeros(64)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; its columns are the window's calls."""
        lives = {"closed": self._closed, "watched": self._watched, "since": self.since}
        return under("slots", self._slots.export()) | {"left": self._left} | lives

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        shape = arrays["left"].shape if "left" in arrays else self._left.shape
        self._left = fitting(arrays, "left", np.empty(shape[:2], np.float32))
        self._closed = fitting(arrays, "closed", self._closed, len(self._left))
        self._watched = fitting(arrays, "watched", self._watched, len(self._left))
        self.since = fitting(arrays, "since", self.since, len(self._left))
        self._slots.restore(within("slots", arrays), len(self._left))

    def ordinary(self, names: tuple[str, ...]) -> Bools:
        """Return [calls], those that a finished profile may still take up."""
        return weights(names) <= ORDINARY

    def assess(self, window: Window, conduct: Conduct, elapsed: float) -> tuple[Numbers, Numbers, Numbers]:
        """Return the risk [containers], each call's part in it [containers, calls], and since when [containers]."""
        rows = self._place(window)
        fade = FADE * self._hold
        full = self._hold + fade
        faded = np.maximum(self._left[rows] - elapsed, 0)
        self._left[rows] = left = np.where(conduct.unknown, full, faded)
        strength = np.where(conduct.unknown, 1.0, np.minimum(left / max(fade, 1e-9), 1.0))
        self._watched[rows] += np.where(np.isfinite(window.syscalls).any(axis=1), elapsed, 0)
        grade = weights(window.syscall_names)
        parts = grade * strength
        news = (conduct.unknown & (grade > 0)).any(axis=1)
        quiet = ~(faded > 0).any(axis=1)
        self.since[rows] = np.where(news & quiet, window.end, self.since[rows])
        sure = self._sure(conduct, self._watched[rows], window.step, window.syscall_names)
        held = np.where(quiet, 0, self._closed[rows])
        self._closed[rows] = closed = np.where(news, np.maximum(sure, held), held)
        telling = np.where(grade > 0, strength, 0).max(axis=1, initial=0)
        return np.maximum(_together(parts, grade <= ORDINARY), closed * telling), parts, self.since[rows]

    def _place(self, window: Window) -> NDArray[np.int64]:
        rows, fresh = self._slots.place(window.lives)
        count = int(rows.max(initial=-1)) + 1
        self._left = np.asarray(fitted(self._left, count, len(window.syscall_names)), dtype=np.float32)
        self._left[fresh] = 0
        for name in ("_closed", "_watched", "since"):
            setattr(self, name, np.asarray(fitted(getattr(self, name), count)))
            getattr(self, name)[fresh] = 0
        return rows

    def _sure(self, conduct: Conduct, watched: Numbers, step: float, names: tuple[str, ...]) -> Numbers:
        """Return [containers], 0–1, ALARM where new calls are expected as often as alarms are allowed.

        A container seen for less than the learning time may be of a new release: its news are ordinary.
        """
        together = (conduct.unknown & (weights(names) > 0)).sum(axis=1)
        expected = conduct.news * RARER ** np.maximum(together - 1, 0) + DOUBT / np.maximum(conduct.watched, 1)
        ratio = self._monthly * step / MONTH / expected
        return np.where(watched >= self._learn, ratio / (ratio + (1 - ALARM) / ALARM), 0)


def _together(parts: Numbers, ordinary: Bools) -> Numbers:
    safe = np.log1p(-parts)
    grave = 1 - np.exp(np.where(ordinary, 0, safe).sum(axis=1))
    small = np.minimum(1 - np.exp(np.where(ordinary, safe, 0).sum(axis=1)), MOST_ORDINARY)
    together: Numbers = 1 - (1 - grave) * (1 - small)
    return together
