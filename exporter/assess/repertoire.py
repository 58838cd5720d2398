"""Which calls a workload's steps consist of, where no two steps are alike: many programs, each with calls of its own.

How often a call is made then says little, since the next program makes it a hundred times as often; which calls are
made together says more. A step is as strange as the cosine distance of its set of calls to the nearest learned set.
Where pairs of calls are known, two more views are added to that distance: the part of the pairs of every learned step
that is missing, at its least, and how improbable it is that common calls are missing. All three count less where a step
made few pairs, since two calls in turn are an idle program rather than a strange one.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers
from exporter.assess.tail import FOLDS, stretches
from exporter.history.windows import Bools, Halves

VARIED = 0.15
"""Cosine distance to the nearest set of another stretch beyond which a tenth of the steps must be."""
ALWAYS = 0.5
"""Weight, among calls of weight 1, of one that every step makes: a step without any call is like another such."""
LEAST_SHARE = 0.001
"""Variance of a call's presence that is never worth a word."""
FEW_PAIRS = 2.0
"""Pairs of a step at which its strangeness counts half."""
USUAL = 0.9
"""Quantile of each view, over learned time held out, that is its unit."""
VIEWS = 3
Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Made:
    """The pairs of some steps."""

    bits: Bits
    """[steps, bytes], which of the known pairs."""
    count: Numbers
    """[steps], pairs, the unknown ones included."""

    @classmethod
    def known(cls, bits: Bits) -> "Made":
        """Return the pairs of steps that made no unknown ones."""
        return cls(bits, np.bitwise_count(bits).sum(axis=1, dtype=np.float64))

    def of(self, chosen: Bools) -> "Made":
        """Return the pairs of the ``chosen`` [steps]."""
        return Made(self.bits[chosen], self.count[chosen])


@dataclass(frozen=True)
class Repertoire:
    """The sets of calls of a workload's steps; columns are all calls known when it was made."""

    sets: Numbers
    """[sets, calls], the learned ones, each once; of length 1 together with the call that every step makes."""
    share: Numbers
    """[calls], part of the learned steps that made each."""
    pairs: Bits
    """[sets, bytes], the learned sets of pairs, each once; none where they are not judged."""
    missed: Numbers
    """[calls], minus the logarithm of the probability that a step does without each."""
    units: Numbers
    """[VIEWS]; 0 where pairs are not judged."""

    @property
    def width(self) -> int:
        """Calls that are known."""
        return len(self.share)

    def strangeness(self, logs: Numbers, stray: Numbers, made: Made) -> Numbers:
        """Return [steps]; ``logs`` [steps, calls], those of other calls, ``stray``, and the pairs ``made``.

        A step without any pair is not strange where pairs are judged: either it is idle or they are not counted.
        """
        if not self.units.any():
            return self.apart(logs, stray)
        together: Numbers = (self.views(logs, stray, made) / self.units).mean(axis=1)
        return together

    def views(self, logs: Numbers, stray: Numbers, made: Made) -> Numbers:
        """Return [steps, VIEWS], what each view makes of the steps."""
        missing = np.where(logs > 0, 0, self.missed).sum(axis=1)
        views = np.column_stack([self.apart(logs, stray), _absent(made.bits, self.pairs), missing])
        return views * (made.count / (made.count + FEW_PAIRS))[:, None]

    def apart(self, logs: Numbers, stray: Numbers) -> Numbers:
        """Return [steps], 0–1, the distance to the nearest learned set of calls."""
        made = (logs > 0).astype(np.float32)
        size = made.sum(axis=1) + (stray > 0).sum(axis=1) + ALWAYS**2
        always = ALWAYS * np.sqrt(1 - (self.sets**2).sum(axis=1))
        far: Numbers = 1 - (made @ self.sets.T + always).max(axis=1) / np.sqrt(size)
        return far

    def furthest(self, logs: Numbers) -> Numbers:
        """Return [steps, calls], how many deviations the presence of each call is off."""
        off: Numbers = ((logs > 0) - self.share) / np.sqrt(self.share * (1 - self.share) + LEAST_SHARE)
        return off


def gather(steps: Halves, bits: Bits) -> Repertoire:
    """Return the repertoire of ``steps`` [steps, calls], logarithms of 1 + count, and of their pairs ``bits``.

    The views' units are still to be found (``in_units``).
    """
    made = steps > 0
    sets = _distinct(made).astype(np.float32)
    lengths = np.sqrt(sets.sum(axis=1) + ALWAYS**2)
    share = made.mean(axis=0, dtype=np.float32)
    does_without = (len(steps) * (1 - share) + 0.5) / (len(steps) + 1)
    return Repertoire(sets / lengths[:, None], share, np.unique(bits, axis=0), -np.log(does_without), np.zeros(VIEWS))


def strange_apart(steps: Halves) -> Numbers:
    """Return the distance of each step's set of calls to the nearest one of the other stretches."""
    which = stretches(len(steps))
    none = np.zeros((len(steps), 0), np.float32)
    parts = [(_without_pairs(steps[which != fold]), which == fold) for fold in range(FOLDS)]
    return np.concatenate([part.apart(steps[mine], none[mine]) for part, mine in parts])


def in_units(steps: Halves, bits: Bits) -> tuple[Repertoire, Numbers]:
    """Return the repertoire that judges pairs, and the strangeness of each step to one of the other stretches."""
    which, made = stretches(len(steps)), Made.known(bits)
    none = np.zeros((len(steps), 0), np.float32)
    views = np.zeros((len(steps), VIEWS))
    for fold in range(FOLDS):
        mine = which == fold
        views[mine] = gather(steps[~mine], bits[~mine]).views(steps[mine], none[mine], made.of(mine))
    units = np.maximum(np.quantile(views, USUAL, axis=0), 1e-6)
    return replace(gather(steps, bits), units=units), (views / units).mean(axis=1)


def is_varied(apart: Numbers) -> bool:
    """Tell from such distances whether the steps are too unlike each other for their counts to be compared."""
    return bool(np.quantile(apart, 0.9) > VARIED)


def _without_pairs(steps: Halves) -> Repertoire:
    return gather(steps, np.zeros((len(steps), 0), np.uint8))


def _absent(bits: Bits, learned: Bits) -> Numbers:
    """Return [steps], the part of a learned set of pairs that each one lacks, of that of which it lacks least."""
    known = np.unpackbits(learned, axis=1).astype(np.float32)
    shared = np.unpackbits(bits[:, : learned.shape[1]], axis=1).astype(np.float32) @ known.T
    lacking: Numbers = 1 - (shared / np.maximum(known.sum(axis=1), 1)).max(axis=1, initial=0)
    return lacking


def _distinct(made: Bools) -> Bools:
    _, first = np.unique(np.packbits(made, axis=1), axis=0, return_index=True)
    return made[np.sort(first)]
