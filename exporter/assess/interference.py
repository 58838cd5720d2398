"""Interference: who is held up by others, which others, and what it is about.

Waiting comes in channels; a name is given by what the culprit does. A fork storm, a flood of packets and a loop over
memory all make others wait for a CPU, and are told apart by what the culprit's own CPU time goes into.
"""

from dataclasses import dataclass

import numpy as np

from exporter.assess.blame import blamed, worst
from exporter.assess.nature import COSTS, Kinds, natures
from exporter.assess.robust import Numbers
from exporter.assess.scores import INTERFERENCE, TOP_VICTIMS
from exporter.assess.waiting import CHANNELS, CPU, SMOOTHING, held_up, level, series
from exporter.history.windows import Integers, Window

_OWN_NAME = np.array([INTERFERENCE.index(channel) for channel in CHANNELS])
_SEEN = ("cpu", "memory", "syscalls", "io_waiting", *(signal for signal, _ in COSTS.values()))


@dataclass(frozen=True)
class Interference:
    """As in Scores, and what explains it."""

    suffered: Numbers
    caused: Numbers
    victims: Integers
    waiting: Numbers
    """[containers, INTERFERENCE], share of the time waited, own limits taken off; of memory_bandwidth also the loss
    of work per CPU second."""
    use: dict[str, Numbers]
    """Levels [containers] of the signals that tell what a container does, in the units of SIGNALS."""


def find(window: Window) -> Interference:
    """Return who suffers, and for each culprit its worst victims, all under the one name that fits it best."""
    held = held_up(window)
    use = {name: level(series(window, name), SMOOTHING, window.step) for name in _SEEN}
    who = worst(held.suffered)
    blame = _named(blamed(held, who), natures(use))
    suffered, waiting = _under_names(held.suffered, blame, who), _under_names(held.waiting, blame, who)
    caused, victims = _top(blame.max(axis=3), who)
    return Interference(suffered, caused, victims, waiting, use)


def _named(blame: Numbers, nature: Kinds) -> Numbers:
    """Return [containers, victims, INTERFERENCE, CHANNELS]: blame by channel → all of it under one name a culprit."""
    rows, _, channels = blame.shape
    names = np.broadcast_to(_OWN_NAME, (rows, channels)).copy()
    names[:, CPU] = nature
    by_name = np.zeros((rows, len(INTERFERENCE)))
    np.add.at(by_name, (np.arange(rows)[:, None], names), blame.sum(axis=1))
    found = np.zeros((*blame.shape[:2], len(INTERFERENCE), channels))
    found[np.arange(rows), :, by_name.argmax(axis=1)] = blame
    return found


def _under_names(held: Numbers, blame: Numbers, who: Integers) -> Numbers:
    """Return [containers, INTERFERENCE] of what is held [containers, CHANNELS]: the worst culprit gives the name."""
    names = np.broadcast_to(_OWN_NAME, held.shape).copy()
    by_name = blame.sum(axis=0)
    names[who] = np.where(by_name.any(axis=1), by_name.argmax(axis=1), names[who])
    found = np.zeros((len(held), len(INTERFERENCE)))
    np.maximum.at(found, (np.arange(len(held))[:, None], names), held)
    return found


def _top(blame: Numbers, who: Integers) -> tuple[Numbers, Integers]:
    """Return [containers, INTERFERENCE, TOP_VICTIMS], the worst victims of each culprit, padded with 0 and -1."""
    lacking = max(TOP_VICTIMS - who.size, 0)
    scores = np.pad(blame, ((0, 0), (0, lacking), (0, 0))).transpose(0, 2, 1)
    rows = np.pad(who, (0, lacking), constant_values=-1)
    order = np.argsort(-scores, axis=2, kind="stable")[:, :, :TOP_VICTIMS]
    found = np.take_along_axis(scores, order, axis=2)
    return found, np.where(found > 0.005, rows[order], -1)
