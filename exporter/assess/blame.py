"""Who took what a victim missed: the heavy, and those whose use moves with its waiting."""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers, mean, ramp
from exporter.assess.waiting import CHANNELS, CPU, FELT, WORK, Held, explained
from exporter.history.windows import Integers

NOTICED = (0.02, 2.0**18, 2.0**18, 0.2)
"""Use that can hold nobody up, per channel: cores, bytes of growth per second, bytes per second, cores."""
MOST_VICTIMS = 64
UNRELATED = 0.1
"""What is left of the blame where use and waiting do not move together."""


def worst(suffered: Numbers) -> Integers:
    """Return the rows that suffer most, so that blame costs no more than MOST_VICTIMS columns."""
    who = np.flatnonzero(suffered.max(axis=1, initial=0) > FELT[0])
    return who[np.argsort(-suffered[who].max(axis=1, initial=0), kind="stable")[:MOST_VICTIMS]]


def blamed(held: Held, who: Integers) -> Numbers:
    """Return [containers, victims, CHANNELS], each one's share in the trouble of each of the rows ``who``."""
    found = [_of_channel(held, who, channel) for channel in range(len(CHANNELS))]
    return np.stack(found, axis=2)


def _of_channel(held: Held, who: Integers, channel: int) -> Numbers:
    use, suffered = held.lately[:, channel], held.suffered[who, channel]
    if not suffered.any():
        return np.zeros((len(use), len(who)))
    alike = _alike(held.felt[channel][who], held.taken[channel])
    own = alike.likeness[who, np.arange(who.size)] * alike.informative
    if channel == WORK:  # its own use rises because of the loss
        own = np.zeros_like(own)
    shares = _shares(use, who, alike, own, NOTICED[channel]) * suffered
    blame: Numbers = np.minimum(shares, suffered * _reach(use, held, who, channel))
    return blame


@dataclass(frozen=True)
class _Alike:
    """Do use and waiting rise and fall together?"""

    likeness: Numbers
    """[containers, victims], 0–1, squared correlation of each one's use with each victim's waiting."""
    informative: Numbers
    """[victims], 0 where the waiting has not changed, so that nothing can be told."""


def _alike(waiting: Numbers, taken: Numbers) -> _Alike:
    moves, uses = _centred(_from_birth(waiting)), _centred(_from_birth(taken))
    size = np.linalg.norm(uses, axis=1)[:, None] * np.linalg.norm(moves, axis=1)[None, :]
    likeness: Numbers = np.clip(uses @ moves.T / np.maximum(size, 1e-12), 0.0, 1.0) ** 2
    return _Alike(likeness, ramp(np.linalg.norm(moves, axis=1) / np.sqrt(waiting.shape[1]), 0.02, 0.08))


def _centred(series: Numbers) -> Numbers:
    moves: Numbers = np.nan_to_num(series - mean(series)[:, None])
    return moves


def _from_birth(series: Numbers) -> Numbers:
    """Return the series with 0 before a container's first sample: what did not exist used and waited for nothing."""
    return np.where(np.logical_or.accumulate(np.isfinite(series), axis=1), series, 0.0)


def _shares(use: Numbers, who: Integers, alike: _Alike, own: Numbers, noticed: float) -> Numbers:
    """Return [containers, victims]: the victim's trouble, shared out among the others, as parts of it.

    Shares go by the square of use, so that the heavy are named and small steady users are not, and by coincidence.
    The whole is lowered where the victim uses as much as they: to a quarter between equals, who contend but do not
    intrude, and further where the trouble came and went with the victim's own use (``own``): then it is the newcomer.
    """
    heavy = np.where(use > noticed, use, 0.0)
    weight = heavy[:, None] ** 2 * (1 - (1 - UNRELATED) * alike.informative * (1 - alike.likeness))
    weight[who, np.arange(who.size)] = 0.0
    total = weight.sum(axis=0)
    others = heavy.sum() - heavy[who]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(weight / total)
        intrusion = np.nan_to_num(others**2 / (others**2 + use[who] ** 2)) ** (2 + 2 * own)
    shares: Numbers = share * intrusion
    return shares


def _reach(use: Numbers, held: Held, who: Integers, channel: int) -> Numbers:
    """Return [containers, victims], the part of each victim's trouble that each can have caused at its use."""
    if channel == CPU:
        waiting, own = held.waiting[who, CPU], held.use[who, CPU]
        reach: Numbers = np.minimum(explained(use[:, None], waiting, own) / np.maximum(waiting, 1e-9), 1.0)
        return reach
    return ramp(use, NOTICED[channel], 8 * NOTICED[channel])[:, None]
