"""Rows of the history: which container lives where, since when, and when it was last listed."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.history.identity import NODE, Identity
from exporter.history.windows import Integers
from exporter.persist.arrays import Arrays, MismatchError, numbers, spelled, texts

_FORGET_WORKLOADS = 20
_NAMES = tuple(field.name for field in fields(Identity))


class Registry:
    """Dense rows, the node itself first. A life is a number given once to each appearance of a container."""

    def __init__(self, max_containers: int) -> None:
        self.identities: list[Identity] = []
        self.refused = 0
        """Appearances left out because all rows were taken."""
        self._max = max_containers + 1
        self._lives: list[int] = []
        self._workloads: dict[str, int] = {}
        self._rows: dict[str, int] = {}
        self._next = 0
        self._next_workload = 0
        self._seen: list[float] = []
        self._listed: list[bool] = []
        self.admit(NODE, np.inf)

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def lives(self) -> Integers:
        """[rows]"""
        return np.array(self._lives, np.int64)

    @property
    def workloads(self) -> Integers:
        """[rows]; the same number for all replicas of a workload."""
        return np.array([self._workload(identity.workload or identity.key) for identity in self.identities], np.int64)

    def workload_names(self) -> dict[int, str]:
        """Return the name of each workload's number."""
        return {number: name for name, number in self._workloads.items()}

    def row(self, key: str) -> int | None:
        """Return the row of an identity's key."""
        return self._rows.get(key)

    def admit(self, identity: Identity, now: float, *, guessed: bool = False) -> int | None:
        """Return the row of ``identity``, a new one if need be; None where there is no room.

        A name counts more than none, and more than one that was ``guessed``.
        """
        row = self._rows.get(identity.key)
        if row is None:
            return self._add(identity, now)
        known = self.identities[row]
        if identity is not known and identity.workload and not (guessed and known.workload):
            self.identities[row] = identity
            if identity.workload != known.workload:
                self._lives[row] = self._new_life()  # what was learned under another name belongs to that workload
        return row

    def begin_anew(self, workload: str) -> int:
        """Give all containers of ``workload`` new lives, as if they had just come; return its number."""
        for row, identity in enumerate(self.identities):
            if identity.workload == workload:
                self._lives[row] = self._new_life()
        return self._workload(workload)

    def _new_life(self) -> int:
        life, self._next = self._next, self._next + 1
        return life

    def _add(self, identity: Identity, now: float) -> int | None:
        if len(self) >= self._max:
            self.refused += 1
            return None
        self._rows[identity.key] = row = len(self)
        self.identities.append(identity)
        self._lives.append(self._new_life())
        self._seen.append(now)
        self._listed.append(False)
        return row

    def note(self, rows: list[int], now: float, *, authoritative: bool) -> None:
        """Remember that ``rows`` were listed ``now``; an authoritative source also tells by silence."""
        for row in rows:
            self._seen[row] = max(self._seen[row], now)
            self._listed[row] |= authoritative

    def gone(self, now: float, listed_now: list[int] | None, patience: float) -> list[int]:
        """Return the rows to remove, highest first.

        ``listed_now`` are the rows that the authoritative source lists, None where it could not be read: then only
        those are gone that no source has listed for ``patience`` seconds. An empty list is no word on anybody either:
        cAdvisor lists nothing for a moment after its start.
        """
        present = set(listed_now) if listed_now else None
        return [
            row
            for row in range(len(self) - 1, 0, -1)
            if now - self._seen[row] > patience or (present is not None and self._listed[row] and row not in present)
        ]

    def remove(self, row: int) -> int:
        """Forget ``row``; return the number of the last row, which takes its place."""
        last = len(self) - 1
        del self._rows[self.identities[row].key]
        for column in (self.identities, self._lives, self._seen, self._listed):
            _move_last(column, row)
        if row != last:
            self._rows[self.identities[row].key] = row
        return last

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved: who is in which row, and the numbers given to lives and workloads."""
        known = {
            "lives": self.lives,
            "workload_numbers": np.array(list(self._workloads.values()), np.int64),
            "next": np.array([self._next, self._next_workload], np.int64),
        }
        for name in _NAMES:
            known |= spelled(name, (getattr(each, name) for each in self.identities))
        return known | spelled("workload_names", self._workloads)

    def restore(self, arrays: Arrays, now: float) -> None:
        """Take back what was saved; who is no longer listed goes as usual, after ``now``. Raise MismatchError."""
        names = [texts(arrays, name) for name in _NAMES]
        rows = len(names[0])
        identities = [Identity(*each) for each in zip(*names, strict=True)]
        self._rows = {identity.key: row for row, identity in enumerate(identities)}
        if len(self._rows) != rows or identities[:1] != [NODE]:
            raise MismatchError("its containers are not told apart by their keys")
        self.identities, self._lives = identities, numbers(arrays, "lives", rows)
        self._seen, self._listed = [np.inf, *[now] * (rows - 1)], [False, *[True] * (rows - 1)]
        workloads = texts(arrays, "workload_names")
        self._workloads = dict(zip(workloads, numbers(arrays, "workload_numbers", len(workloads)), strict=True))
        self._next, self._next_workload = numbers(arrays, "next", 2)

    def _workload(self, name: str) -> int:
        number = self._workloads.pop(name, None)
        if number is None:
            number, self._next_workload = self._next_workload, self._next_workload + 1
        self._workloads[name] = number  # last again, so that the longest unseen is forgotten first
        while len(self._workloads) > _FORGET_WORKLOADS * self._max:
            del self._workloads[next(iter(self._workloads))]
        return number


def _move_last(column: list[Any], row: int) -> None:
    column[row] = column[-1]
    column.pop()
