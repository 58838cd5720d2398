"""The portrait of a workload: how often which calls are made together in one step, and how improbable a step is.

Three views of the logarithms of the counts, each strong where the others are weak: the Mahalanobis distance (calls that
no longer go together), the furthest single call, and the distance to the third nearest step that was learned, in
coordinates made white (a workload has several habits, and what lies between two of them is none). The highest of the
three counts, each in units of its own tail. Probabilities come from steps that the portrait scored was not made of.
Where the learned steps are too unlike each other for counts, their sets of calls are compared instead (repertoire.py).
"""

from dataclasses import dataclass, replace

import numpy as np

from exporter.assess.repertoire import VIEWS, Bits, Made, Repertoire, gather, in_units, is_varied, strange_apart
from exporter.assess.robust import Numbers
from exporter.assess.tail import FOLDS, Tail, fit_tail, stretches
from exporter.history.windows import Halves

NEIGHBOUR = 3
RIDGE, LEAST_VARIANCE = 0.002, 0.001
"""Variance of a logarithm that is never worth a word: of a mixture of calls, and of one alone."""
USUAL_LOAD = 0.99
"""Quantile of all calls of a step; busier steps are scaled down to it, since a higher load is no other behaviour."""
LEAST_STEPS = 60
"""Steps without which a portrait cannot be made."""
MOSTLY = 0.5
"""Part of the steps that must have pairs where they are judged."""
_Views = tuple[Numbers, Numbers, Numbers]


@dataclass(frozen=True)
class Portrait:
    """What a workload's steps look like; columns are all calls known when it was made."""

    mean: Numbers
    """[calls], of log(1 + count)."""
    deviation: Numbers
    """[calls]"""
    precision: Numbers
    """[calls, calls], inverse of the covariance."""
    steps: Halves
    """[steps, calls], the learned ones."""
    lengths: Numbers
    """[steps], their squared Mahalanobis lengths."""
    load: float
    """Calls of a busy step."""
    views: tuple[Tail, Tail, Tail]

    @property
    def width(self) -> int:
        """Calls that are known."""
        return len(self.mean)

    def strangeness(self, logs: Numbers, stray: Numbers) -> Numbers:
        """Return [steps], in units of the views' tails; ``logs`` [steps, calls] and those of other calls, ``stray``."""
        found = self._look(logs, stray)
        strange: Numbers = np.max([tail.excess(it) for tail, it in zip(self.views, found, strict=True)], axis=0)
        return strange

    def tails(self, logs: Numbers) -> tuple[Tail, Tail, Tail]:
        """Return the views' tails over ``logs`` [steps, calls]."""
        length, single, near = self._look(logs, logs[:, :0])
        return fit_tail(length), fit_tail(single), fit_tail(near)

    def furthest(self, logs: Numbers) -> Numbers:
        """Return [steps, calls], how many deviations each call is off."""
        return (self._tamed(logs, logs[:, :0])[0] - self.mean) / self.deviation

    def _tamed(self, logs: Numbers, stray: Numbers) -> tuple[Numbers, Numbers]:
        counts, others = np.expm1(logs), np.expm1(stray)
        over = np.maximum((counts.sum(axis=1) + others.sum(axis=1)) / self.load, 1.0)[:, None]
        if over.max(initial=1.0) == 1.0:
            return logs, stray
        return np.log1p(counts / over), np.log1p(others / over)

    def _look(self, logs: Numbers, stray: Numbers) -> _Views:
        tamed, others = self._tamed(logs, stray)
        off = tamed - self.mean
        alien = (others**2).sum(axis=1) / RIDGE
        leaning = off @ self.precision
        length = np.einsum("ij,ij->i", leaning, off)
        to_steps = length[:, None] + self.lengths - 2 * (leaning @ (self.steps.astype(np.float32) - self.mean).T)
        near = np.partition(to_steps, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
        single = np.abs(off / self.deviation).max(axis=1, initial=0)
        lone = others.max(axis=1, initial=0) / np.sqrt(LEAST_VARIANCE)
        return np.sqrt(np.maximum(length, 0) + alien), np.maximum(single, lone), np.sqrt(np.maximum(near, 0) + alien)


@dataclass(frozen=True)
class Fitted:
    """A portrait, and how improbable its strangeness is."""

    portrait: Portrait | Repertoire
    tail: Tail

    @property
    def width(self) -> int:
        """Calls that the portrait knows."""
        return self.portrait.width

    @property
    def units(self) -> Numbers:
        """[VIEWS], of the repertoire's views; 0 where it is none, or judges no pairs."""
        return self.portrait.units if isinstance(self.portrait, Repertoire) else np.zeros(VIEWS)

    def strangeness(self, logs: Numbers, stray: Numbers, made: Made) -> Numbers:
        """Return [steps], in the portrait's own units."""
        if isinstance(self.portrait, Repertoire):
            return self.portrait.strangeness(logs, stray, made)
        return self.portrait.strangeness(logs, stray)

    def surprisal(self, logs: Numbers, stray: Numbers, made: Made) -> Numbers:
        """Return [steps], minus the logarithm of the probability of a step as strange as each."""
        return self.tail.surprisal(self.strangeness(logs, stray, made))


def fit(steps: Halves, bits: Bits) -> Fitted:
    """Return the portrait of ``steps`` [at least LEAST_STEPS, calls], logarithms of 1 + count in order of time.

    ``bits`` [steps, bytes] are their pairs; they are judged where most steps have some.
    """
    alone = strange_apart(steps)
    if not is_varied(alone):
        return Fitted(draw(steps), fit_tail(_apart(steps)))
    told = bits.any(axis=1)
    if told.mean() > MOSTLY and told.sum() >= LEAST_STEPS:
        repertoire, apart = in_units(steps[told], bits[told])
        return Fitted(repertoire, fit_tail(apart))
    return Fitted(gather(steps, bits[:, :0]), fit_tail(alone))


def refit(steps: Halves, bits: Bits, tail: Tail, units: Numbers) -> Fitted:
    """Return the portrait of the same ``steps`` again, with its ``tail`` and ``units``."""
    if units.any():
        told = bits.any(axis=1)
        return Fitted(replace(gather(steps[told], bits[told]), units=units), tail)
    varied = is_varied(strange_apart(steps))
    return Fitted(gather(steps, bits[:, :0]) if varied else draw(steps), tail)


def draw(steps: Halves) -> Portrait:
    """Return the portrait of ``steps``, without the probabilities."""
    logs = steps.astype(np.float32)
    load = max(float(np.quantile(np.expm1(logs).sum(axis=1), USUAL_LOAD)), 1.0)
    mean, deviation = logs.mean(axis=0), np.sqrt(logs.var(axis=0) + LEAST_VARIANCE)
    spread = np.atleast_2d(np.cov(logs.T)) + RIDGE * np.eye(logs.shape[1])
    precision = np.linalg.inv(spread).astype(np.float32)
    off = logs - mean
    lengths = np.einsum("ij,ij->i", off @ precision, off)
    untried = Tail(0.0, 1.0, 1.0)
    made = Portrait(mean, deviation, precision, steps, lengths, load, (untried, untried, untried))
    return replace(made, views=made.tails(logs))


def _apart(steps: Halves) -> Numbers:
    """Return the strangeness of each step to a portrait of the other stretches."""
    which = stretches(len(steps))
    return np.concatenate([_score(draw(steps[which != fold]), steps[which == fold]) for fold in range(FOLDS)])


def _score(portrait: Portrait, steps: Halves) -> Numbers:
    logs = steps.astype(np.float32)
    return portrait.strangeness(logs, logs[:, :0])
