"""Which calls a workload's steps consist of, where no two steps are alike: many programs, each with calls of its own.

How often a call is made then says little, since the next program makes it a hundred times as often; which calls are
made together says more. A step is as strange as the cosine distance of its set of calls to the nearest learned set.
"""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers
from exporter.assess.tail import FOLDS, stretches
from exporter.history.windows import Bools, Halves

VARIED = 0.15
"""Cosine distance to the nearest set of another stretch beyond which a tenth of the steps must be."""
ALWAYS = 0.5
"""Weight, among calls of weight 1, of one that every step makes: a step without any call is like another such."""
LEAST_SHARE = 0.001
"""Variance of a call's presence that is never worth a word."""


@dataclass(frozen=True)
class Repertoire:
    """The sets of calls of a workload's steps; columns are all calls known when it was made."""

    sets: Numbers
    """[sets, calls], the learned ones, each once; of length 1 together with the call that every step makes."""
    share: Numbers
    """[calls], part of the learned steps that made each."""

    @property
    def width(self) -> int:
        """Calls that are known."""
        return len(self.share)

    def strangeness(self, logs: Numbers, stray: Numbers) -> Numbers:
        """Return [steps], 0–1; ``logs`` [steps, calls] and those of other calls, ``stray``."""
        made = (logs > 0).astype(np.float32)
        size = made.sum(axis=1) + (stray > 0).sum(axis=1) + ALWAYS**2
        always = ALWAYS * np.sqrt(1 - (self.sets**2).sum(axis=1))
        far: Numbers = 1 - (made @ self.sets.T + always).max(axis=1) / np.sqrt(size)
        return far

    def furthest(self, logs: Numbers) -> Numbers:
        """Return [steps, calls], how many deviations the presence of each call is off."""
        off: Numbers = ((logs > 0) - self.share) / np.sqrt(self.share * (1 - self.share) + LEAST_SHARE)
        return off


def gather(steps: Halves) -> Repertoire:
    """Return the repertoire of ``steps`` [steps, calls], logarithms of 1 + count."""
    made = steps > 0
    sets = _distinct(made).astype(np.float32)
    lengths = np.sqrt(sets.sum(axis=1) + ALWAYS**2)
    return Repertoire(sets / lengths[:, None], made.mean(axis=0, dtype=np.float32))


def strange_apart(steps: Halves) -> Numbers:
    """Return the distance of each step's set to the nearest one of the other stretches."""
    which = stretches(len(steps))
    none = np.zeros((len(steps), 0), np.float32)
    parts = [(gather(steps[which != fold]), which == fold) for fold in range(FOLDS)]
    return np.concatenate([part.strangeness(steps[mine], none[mine]) for part, mine in parts])


def is_varied(apart: Numbers) -> bool:
    """Tell from such distances whether the steps are too unlike each other for their counts to be compared."""
    return bool(np.quantile(apart, 0.9) > VARIED)


def _distinct(made: Bools) -> Bools:
    _, first = np.unique(np.packbits(made, axis=1), axis=0, return_index=True)
    return made[np.sort(first)]
