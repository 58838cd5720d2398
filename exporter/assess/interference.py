"""Interference: who is held up by others, and which others.

Pressure (PSI) is the truth of waiting, usage only the hint of who: which CPUs a container may run on is not known here.
"""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers, mean, ramp, recent
from exporter.assess.scores import INTERFERENCE, TOP_VICTIMS
from exporter.history.signals import COLUMN
from exporter.history.windows import Integers, Window

SMOOTHING = 12.0
"""Seconds: a new noisy neighbour must be named within 15."""
GROWTH_SMOOTHING = 30.0
FELT = (0.03, 0.15)
"""Share of the time waited: below is scheduling as usual, above counts fully."""
LUCKLESS = 1.25
"""By how much more others may hit the moments in which a container wants to run than they would by chance."""
NOTICED = (0.02, 2.0**18, 2.0**18)
"""Use that can hold nobody up, per INTERFERENCE: cores, bytes of growth per second, bytes per second."""
MOST_VICTIMS = 64
MOST_COLUMNS = 240
"""Columns looked at for coincidence; at 15 s an hour."""
UNRELATED = 0.1
"""What is left of the blame where use and waiting do not move together."""
_THROTTLING = ("cpu_throttled_seconds", "cpu_throttled")


@dataclass(frozen=True)
class Interference:
    """As in Scores, and what explains it."""

    suffered: Numbers
    caused: Numbers
    victims: Integers
    waiting: Numbers
    """[containers, INTERFERENCE], share of the time waited, own limits taken off."""
    use: Numbers
    """[containers, INTERFERENCE], cores, bytes of memory growth per second, bytes of I/O per second."""


def find(window: Window) -> Interference:
    """Return who suffers, and for each culprit its worst victims."""
    rows, kinds = len(window.lives), len(INTERFERENCE)
    taken = (_series(window, "cpu"), _growth(window), _series(window, "disk_io"))
    felt = tuple(_series(window, name) for name in ("cpu_waiting", "memory_waiting", "io_waiting"))
    smoothing = (SMOOTHING, GROWTH_SMOOTHING, SMOOTHING)
    use = np.stack([_now(series, s, window.step) for series, s in zip(taken, smoothing, strict=True)], axis=1)
    waiting = np.stack([_now(series, SMOOTHING, window.step) for series in felt], axis=1)
    waiting = np.clip(waiting - _own_fault(window, waiting), 0.0, 1.0)
    others = np.maximum(use.sum(axis=0) - use, 0.0)
    waiting[:, 0] = np.minimum(waiting[:, 0], _explained(others[:, 0], waiting[:, 0], use[:, 0]))
    waiting[:, 0] *= _in_containers(others[:, 0], window, use[:, 0])
    suffered = _suffered(waiting, use, others)
    caused = np.zeros((rows, kinds, TOP_VICTIMS))
    victims = np.full((rows, kinds, TOP_VICTIMS), -1, dtype=np.int64)
    for kind in range(kinds):
        who = _worst(suffered[:, kind])
        if who.size:
            together = _coincidence(felt[kind][who], taken[kind])
            blame = _blame(use[:, kind], who, suffered[who, kind], together, NOTICED[kind])
            blame = np.minimum(
                blame, suffered[who, kind] * _reach(use[:, kind], waiting[who, kind], use[who, kind], kind)
            )
            caused[:, kind], victims[:, kind] = _top(blame, who)
    return Interference(suffered, caused, victims, waiting, use)


def _series(window: Window, signal: str) -> Numbers:
    return window.signals[:, COLUMN[signal], -MOST_COLUMNS:]


def _growth(window: Window) -> Numbers:
    """Return bytes of memory taken per second; giving back counts as nothing."""
    memory = _series(window, "memory")
    growth: Numbers = np.clip(np.diff(memory, axis=1, prepend=np.nan) / window.step, 0.0, None)
    return growth


def _now(series: Numbers, seconds: float, step: float) -> Numbers:
    level: Numbers = np.nan_to_num(recent(series, seconds, step))
    return level


def _own_fault(window: Window, waiting: Numbers) -> Numbers:
    """Return [containers, INTERFERENCE], the waiting that a container's own limits explain.

    A throttled task counts as waiting for CPU. Throttled seconds are summed over CPUs and the share of throttled
    periods ignores how long each lasted, so both are upper bounds of the time: the smaller one is taken. In a throttled
    period the container also got its whole quota, so neighbours took nothing from it then, however long it waited.
    Near its own memory limit a container reclaims from itself.
    """
    seconds, periods = (_now(_series(window, name), SMOOTHING, window.step) for name in _THROTTLING)
    # The two counters are read at slightly different moments; a tenth covers that.
    quota = np.maximum(1.1 * np.minimum(seconds, periods), waiting[:, 0] * periods)
    full = ramp(recent(_series(window, "memory"), SMOOTHING, window.step) / window.memory_limit, 0.85, 0.95)
    return np.stack([quota, full, np.zeros_like(full)], axis=1)


def _suffered(waiting: Numbers, use: Numbers, others: Numbers) -> Numbers:
    """Return 0–1 for each resource.

    CPU: of the time in which the container wanted to run, the part it waited; a service busy a tenth of the time that
    waits another tenth runs at half its speed. Disk: pressure arises from one's own transfers too, so it is shared out
    by bytes.
    """
    wanted = _wanted(waiting[:, 0], use[:, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        cpu = np.nan_to_num(waiting[:, 0] / wanted)
        disk = np.nan_to_num(others[:, 2] / (others[:, 2] + use[:, 2])) * waiting[:, 2]
    return np.stack([cpu, waiting[:, 1], disk], axis=1) * ramp(waiting, *FELT)


def _wanted(waiting: Numbers, use: Numbers) -> Numbers:
    """Return the share of the time in which a container waited for a CPU or had one."""
    wanted: Numbers = waiting + np.minimum(use, 1.0 - waiting)
    return wanted


def _explained(cores: Numbers, waiting: Numbers, use: Numbers) -> Numbers:
    """Return the waiting that ``cores`` of others explain: they must run while the container wants to.

    What is beyond that, the container's own threads or processes outside of containers have caused.
    """
    explained: Numbers = LUCKLESS * cores * _wanted(waiting, use)
    return explained


def _in_containers(others: Numbers, window: Window, use: Numbers) -> Numbers:
    """Return [containers], the part of what runs beside each container that runs in containers.

    Processes outside of containers, such as a build on the host, make containers wait too, and no container is to be
    blamed for them. Where the node's use is unknown there are none.
    """
    node = float(np.nan_to_num(_now(window.node_cpu[None, -MOST_COLUMNS:], SMOOTHING, window.step)[0]))
    beside = np.maximum(node - use, others)
    part: Numbers = others / np.maximum(beside, 1e-9)
    return part


def _worst(suffered: Numbers) -> Integers:
    """Return the rows that suffer most, so that blame costs no more than MOST_VICTIMS columns."""
    who = np.flatnonzero(suffered > FELT[0])
    return who[np.argsort(-suffered[who], kind="stable")[:MOST_VICTIMS]]


def _coincidence(waiting: Numbers, taken: Numbers) -> Numbers:
    """Return [containers, victims], from UNRELATED to 1: does the use rise and fall with the victim's waiting?

    Where the waiting has not changed, nothing can be told, and all get 1.
    """
    moves, uses = _centred(waiting), _centred(_from_birth(taken))
    size = np.linalg.norm(uses, axis=1)[:, None] * np.linalg.norm(moves, axis=1)[None, :]
    likeness: Numbers = np.clip(uses @ moves.T / np.maximum(size, 1e-12), 0.0, 1.0) ** 2
    informative = ramp(np.linalg.norm(moves, axis=1) / np.sqrt(waiting.shape[1]), 0.02, 0.08)
    together: Numbers = 1 - (1 - UNRELATED) * informative * (1 - likeness)
    return together


def _centred(series: Numbers) -> Numbers:
    moves: Numbers = np.nan_to_num(series - mean(series)[:, None])
    return moves


def _from_birth(series: Numbers) -> Numbers:
    """Return the series with 0 before a container's first sample: what did not exist used nothing."""
    return np.where(np.logical_or.accumulate(np.isfinite(series), axis=1), series, 0.0)


def _blame(use: Numbers, who: Integers, suffered: Numbers, together: Numbers, noticed: float) -> Numbers:
    """Return [containers, victims]: the victim's trouble, shared out among the others.

    Shares go by the square of use, so that the heavy are named and small steady users are not, and by coincidence.
    The whole is lowered where the victim uses as much as they: to a quarter between equals, who contend but do not
    intrude.
    """
    heavy = np.where(use > noticed, use, 0.0)
    weight = heavy[:, None] ** 2 * together
    weight[who, np.arange(who.size)] = 0.0
    total = weight.sum(axis=0)
    others = heavy.sum() - heavy[who]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(weight / total)
        intrusion = np.nan_to_num(others**2 / (others**2 + use[who] ** 2)) ** 2
    blame: Numbers = share * intrusion * suffered
    return blame


def _reach(use: Numbers, waiting: Numbers, own: Numbers, kind: int) -> Numbers:
    """Return [containers, victims], the part of each victim's trouble that each can have caused at its use."""
    if INTERFERENCE[kind] == "cpu":
        return np.minimum(_explained(use[:, None], waiting, own) / np.maximum(waiting, 1e-9), 1.0)
    return ramp(use, NOTICED[kind], 8 * NOTICED[kind])[:, None]


def _top(blame: Numbers, who: Integers) -> tuple[Numbers, Integers]:
    """Return the worst TOP_VICTIMS of each culprit and their rows, padded with 0 and -1."""
    blame = np.pad(blame, ((0, 0), (0, max(TOP_VICTIMS - who.size, 0))))
    rows = np.pad(who, (0, max(TOP_VICTIMS - who.size, 0)), constant_values=-1)
    order = np.argsort(-blame, axis=1, kind="stable")[:, :TOP_VICTIMS]
    worst = np.take_along_axis(blame, order, axis=1)
    return worst, np.where(worst > 0.005, rows[order], -1)
