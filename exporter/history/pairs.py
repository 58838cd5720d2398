"""Pairs of calls: which call the threads of a container made after which, between two readings of them."""

from array import array
from collections.abc import Mapping
from io import BytesIO
from typing import Final

import numpy as np

from exporter.history.counters import Doubles
from exporter.history.identity import identify
from exporter.history.registry import Registry
from exporter.history.windows import Integers, Pairs
from exporter.sources.exposition import ExpositionError, parse_labels

MOST_OF_ONE: Final = 256
"""Pairs looked at of one container, the most frequent: twice what the probe tells apart."""
CALLS: Final = 1 << 16
"""A pair is the column of its first call times this, plus that of its second."""
_STALE: Final = 600.0
"""Seconds after which what a reading told says nothing of now."""
_LIFE: Final = 1 << 32
_FROM, _TO, _END = b',from="', b'",to="', b'"} '
OTHER: Final = "other"


class PairIntake:
    """Remembers the last reading by the containers' lives, and what was made until then.

    Series are not indexed one by one as others are: there are most of them, they come and go, and they are read seldom.
    """

    def __init__(self) -> None:
        self._at: float | None = None
        self._keys: Integers = np.zeros(0, np.int64)
        """Life and pair of each counter, sorted."""
        self._values: Doubles = np.zeros(0)
        self._made: tuple[Integers, Doubles] = self._keys, self._values

    def update(self, text: bytes, columns: Mapping[str, int], registry: Registry, now: float) -> Pairs:
        """Return what was made until the newest reading, of which ``text`` tells; nothing where this cycle has none.

        ``columns`` has the calls that are told apart.
        """
        seconds = 0.0
        if text:
            keys, values, stamp = _decode(text, columns, registry)
            at = now if stamp is None else stamp
            if len(keys) and at != self._at:
                seconds = self._take(keys, values, at)
        elif self._at is not None and abs(now - self._at) > _STALE:
            self._made = self._keys[:0], self._values[:0]
        rows = _rows(self._made[0] // _LIFE, registry)
        mine = rows > 0
        return Pairs(rows[mine] - 1, self._made[0][mine] % _LIFE, self._made[1][mine], seconds)

    def _take(self, keys: Integers, values: Doubles, at: float) -> float:
        """Compare with the reading before; return the seconds since, 0 where nothing can be said of them."""
        keys, values = _most_frequent(keys, values)
        place = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        listed = self._keys[place] == keys if self._keys.size else np.zeros(len(keys), np.bool_)
        before = np.where(listed, self._values[place], 0.0) if self._keys.size else np.zeros(len(keys))
        # A counter that fell began anew: the probe counts rare pairs together, and forgets them with a restart.
        gained = np.where(values >= before, values - before, values)
        told = np.isin(keys // _LIFE, self._keys // _LIFE) & (gained > 0)
        seconds = 0.0 if self._at is None else max(at - self._at, 0.0)
        self._made = (keys[told], gained[told]) if seconds else (keys[:0], values[:0])
        self._at, self._keys, self._values = at, keys, values
        return seconds


def _decode(text: bytes, columns: Mapping[str, int], registry: Registry) -> tuple[Integers, Doubles, float | None]:
    """Return life and pair of each counter, sorted, its value, and the newest time; lines are as cpp-probe writes them.

    A line at a time, so that no list of them is ever held.
    """
    owners: dict[bytes, int] = {}
    pairs: dict[bytes, int] = {}
    keys, values, newest = array("q"), array("d"), b""
    lives = registry.lives
    for line in BytesIO(text):
        owner, _, rest = line.partition(_FROM)
        pair, _, sample = rest.partition(_END)
        if owner not in owners:
            owners[owner] = _life(owner, lives, registry)
        if pair not in pairs:
            pairs[pair] = _code(pair, columns)
        life, code = owners[owner], pairs[pair]
        value, _, stamp = sample.partition(b" ")
        if life >= 0 and code >= 0 and value.strip().isdigit():
            keys.append(life * _LIFE + code)
            values.append(float(value))
            newest = max(newest, stamp.strip())
    distinct, first = np.unique(np.array(keys, np.int64), return_index=True)
    return distinct, np.array(values, np.float64)[first], int(newest) / 1000 if newest.isdigit() else None


def _life(owner: bytes, lives: Integers, registry: Registry) -> int:
    try:
        identity = identify(parse_labels(owner[owner.find(b"{") :] + b"}"))
    except ExpositionError:
        return -1
    row = None if identity is None else registry.row(identity.key)
    return -1 if row is None else int(lives[row])


def _code(pair: bytes, columns: Mapping[str, int]) -> int:
    first, _, second = pair.partition(_TO)
    names = first.decode("utf-8", "replace"), second.decode("utf-8", "replace")
    if OTHER in names or not all(columns.get(name, CALLS) < CALLS for name in names):
        return -1
    return columns[names[0]] * CALLS + columns[names[1]]


def _most_frequent(keys: Integers, values: Doubles) -> tuple[Integers, Doubles]:
    """Return MOST_OF_ONE counters of each life at most, those that stand highest."""
    lives = keys // _LIFE
    _, starts, counts = np.unique(lives, return_index=True, return_counts=True)
    if counts.max(initial=0) <= MOST_OF_ONE:
        return keys, values
    order = np.lexsort((-values, lives))
    rank = np.arange(len(keys)) - np.repeat(starts, counts)
    kept = np.sort(order[rank < MOST_OF_ONE])
    return keys[kept], values[kept]


def _rows(lives: Integers, registry: Registry) -> Integers:
    """Return the row of each life; -1 for those that have ended."""
    known = registry.lives
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, lives, sorter=order), len(known) - 1)
    rows = order[place]
    return np.asarray(np.where(known[rows] == lives, rows, -1), np.int64)
