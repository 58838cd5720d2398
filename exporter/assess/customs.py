"""Customs of a workload: where it connects to, and the most that it computes and rewrites, also for each call.

Both levels are judged against the most that was ever seen, and so is their share in all that is called: a higher load
raises a level and leaves its share as it is, while a program that only computes, or that rewrites file after file,
raises both.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.assess.behaviour import LASTING, MOST_WORKLOADS
from exporter.assess.lifetimes import settled, watched
from exporter.assess.robust import Numbers, ramp, recent
from exporter.assess.slots import Slots, groups, make_room
from exporter.history.signals import COLUMN
from exporter.history.windows import Bools, Integers, Window
from exporter.persist.arrays import Arrays, fitting, under, within

KINDS: Final = ("computing", "rewriting")
"""Levels: cores; files a second that are opened and renamed, removed or cut."""
LEAST_LEVEL = np.array([0.05, 1.0])
LEAST_SHARE = np.array([2e-5, 0.002])
"""What is never worth a word, a second and a call: a usual service computes for some 100 µs a call."""
BEYOND: Final = ((1.5, 3.0), (3.0, 10.0))
"""Times the most that was seen, by kind: where suspicion starts, and where it is complete."""
RECENT = 6.0
"""Seconds over which computing is measured: collectors of garbage are quick."""
FORGET = 14 * 86_400.0
"""Seconds in which a level that is not reached any more fades."""
_OPENS: Final = ("creat", "open", "openat", "openat2")
_CHANGES: Final = ("ftruncate", "rename", "renameat", "renameat2", "truncate", "unlink", "unlinkat")


@dataclass(frozen=True)
class Breach:
    """What was never done before."""

    destinations: Bools
    """[containers, protocols], connected to now and never while learned."""
    times: Numbers
    """[containers, KINDS], now against the most that was seen, in itself and for each call, the smaller one."""
    excess: Numbers
    """[containers, KINDS], 0–1."""


@dataclass
class _Table:
    """A row per workload."""

    seconds: Numbers = field(default_factory=lambda: np.zeros(64))
    known: Bools = field(default_factory=lambda: np.zeros((64, 0), dtype=np.bool_))
    present: Numbers = field(default_factory=lambda: np.zeros((64, 0), dtype=np.float32))
    level: Numbers = field(default_factory=lambda: np.zeros((64, len(KINDS))))
    share: Numbers = field(default_factory=lambda: np.zeros((64, len(KINDS))))

    def prepare(self, rows: int, protocols: int, fresh: Integers) -> None:
        """Make room, and forget what rows that changed hands held."""
        make_room(self, ("known", "present"), rows, fresh, protocols)
        make_room(self, ("seconds", "level", "share"), rows, fresh)


class Customs:
    """Learned for a stated time, shared by replicas; what lasts is taken up."""

    def __init__(self, learn: float) -> None:
        self._learn = learn
        self._slots = Slots(MOST_WORKLOADS)
        self._table = _Table()

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; its columns are the window's protocols."""
        return under("slots", self._slots.export()) | under("table", vars(self._table))

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        part, table = within("table", arrays), _Table()
        rows, width = part["known"].shape if "known" in part else (0, 0)
        for name, like in vars(table).items():
            shape = np.empty((rows, width), like.dtype) if name in ("known", "present") else like
            setattr(table, name, fitting(part, name, shape, rows))
        self._table = table
        self._slots.restore(within("slots", arrays), rows)

    def observe(self, window: Window, elapsed: float) -> Breach:
        """Compare, then learn from ``elapsed`` more seconds."""
        rows, fresh = self._slots.place(window.workloads)
        table = self._table
        table.prepare(int(rows.max(initial=-1)) + 1, len(window.protocol_names), fresh)
        seen = watched(window)
        finished = seen & (table.seconds[rows] >= self._learn)
        used = np.where(seen[:, None], window.connections > 0, False)
        level, share = _levels(window)
        over = np.minimum(
            level / np.maximum(table.level[rows], LEAST_LEVEL), share / np.maximum(table.share[rows], LEAST_SHARE)
        )
        times = np.where((finished & settled(window, self._learn))[:, None], over, 0)
        excess = np.column_stack([ramp(times[:, kind], *BEYOND[kind]) for kind in range(len(KINDS))])
        breach = Breach(used & ~table.known[rows] & finished[:, None], times, excess)
        self._learn_from(rows, seen, used, (level, share), elapsed)
        return breach

    def _learn_from(
        self, rows: Integers, seen: Bools, used: Bools, levels: tuple[Numbers, Numbers], elapsed: float
    ) -> None:
        table = self._table
        mine, starts, order = groups(rows, seen)
        if not mine.size:
            return
        made = np.logical_or.reduceat(used[order], starts, axis=0)
        learning = (table.seconds[mine] < self._learn)[:, None]
        table.seconds[mine] += elapsed
        table.present[mine] += elapsed * made
        table.known[mine] |= made & (learning | (table.present[mine] >= self._learn))
        pace = np.where(learning, 1.0, min(elapsed / (LASTING * self._learn), 1.0))
        for most, now in zip((table.level, table.share), levels, strict=True):
            highest = np.maximum.reduceat(now[order], starts, axis=0)
            most[mine] += pace * np.maximum(highest - most[mine], 0)
            most[mine] *= max(1 - elapsed / FORGET, 0.0)


def _levels(window: Window) -> tuple[Numbers, Numbers]:
    """Return [containers, KINDS] twice: a second, and a call; 0 where unknown."""
    cpu, calls = (recent(window.signals[:, COLUMN[name]], RECENT, window.step) for name in ("cpu", "syscalls"))
    now = np.nan_to_num(window.syscalls)
    opens, changes = (now[:, chosen].sum(axis=1) for chosen in _columns(window.syscall_names))
    level = np.column_stack([np.nan_to_num(cpu), np.minimum(opens, changes)])
    made = np.column_stack([np.nan_to_num(calls), now.sum(axis=1)])
    return level, level / np.maximum(made, 1.0)


@lru_cache(maxsize=4)
def _columns(names: tuple[str, ...]) -> tuple[Bools, Bools]:
    return np.array([name in _OPENS for name in names], np.bool_), np.array(
        [name in _CHANGES for name in names], np.bool_
    )
