"""Each transaction is in the cluster's objects before it is committed, so that a new leader finds it there.

One rule settles every doubt: an object that is there is right. What SQLite has of its container is replaced by it when
another leader wrote it, when nobody knows whether a write arrived, and when this replica becomes the leader.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from actuator.ledger import ids, live, touched
from actuator.ledger.database import LedgerError, transaction
from actuator.ledger.objects import Objects, Spec, Stored
from actuator.ledger.specification import UnreadableError, describe, name_of, understand
from actuator.platforms.errors import GoneError, PlatformError

COMMON = "cpp-actuator"
"""The object of what concerns no one container: the term, and words such as the pause switch."""
_log = structlog.get_logger(__name__)


@dataclass
class _Copy:
    """What is known of an object."""

    target: str
    version: str = ""
    """Empty where there is no object."""
    digest: str = ""
    """Of what it says; empty where that is not known."""


class Mirror:
    """Implements ``ledger.database.Witness`` with objects. Its methods are called under the database's lock."""

    def __init__(self, objects: Objects, cooldown: float, clock: Callable[[], float]) -> None:
        self._objects, self._cooldown, self._clock = objects, cooldown, clock
        self._copies: dict[str, _Copy] = {}
        self._doubtful: set[str] = set()
        """Names of objects that may say something else than SQLite."""

    def attach(self, connection: sqlite3.Connection) -> None:
        """Let the connection note which containers each transaction touches."""
        touched.attach(connection)

    def settle(self, connection: sqlite3.Connection) -> None:
        """Before a transaction: end the doubts that the last one left."""
        for name in sorted(self._doubtful):
            self._look_again(connection, name, self._copies[name])

    def publish(self, connection: sqlite3.Connection) -> None:
        """Before the commit: write what the transaction touched and changed."""
        for target in touched.take(connection):
            self._write(target, self._spec(connection, target))

    def committed(self) -> None:
        """After the commit: what was written is right."""
        for name in self._doubtful:
            if not self._copies[name].version:
                del self._copies[name]
        self._doubtful.clear()

    def sweep(self, connection: sqlite3.Connection) -> None:
        """Take every container for touched by the transaction: what was live may be too old by now."""
        touched.add(connection, [copy.target for copy in self._copies.values()])

    def take_over(self, connection: sqlite3.Connection) -> None:
        """Begin a term: put what the objects say in the place of what is live here."""
        stored = self._read_all()
        common = stored.pop(COMMON, Stored(COMMON, "", {}))
        term, words = int(common.spec.get("term", 0)) + 1, dict(common.spec.get("words", {}))
        # Only one of two replicas that read the same number can write the next one.
        self._write(touched.NOBODY, {"term": term, "words": words})
        with transaction(connection):
            ids.begin_term(connection, term)
            _set_words(connection, words)
            self._load_all(connection, stored)
            touched.take(connection)
        self.committed()

    def _read_all(self) -> dict[str, Stored]:
        try:
            stored = {each.name: each for each in self._objects.all()}
        except PlatformError as error:
            raise LedgerError(f"the objects containerorders cannot be read: {error}") from error
        self._copies, self._doubtful = {}, set()
        for each in stored.values():
            with suppress(UnreadableError):
                self._copies[each.name] = _Copy(_target_of(each), each.version)
        return stored

    def _load_all(self, connection: sqlite3.Connection, stored: dict[str, Stored]) -> None:
        for target in live.targets(connection):
            live.replace_live(connection, target, {}, self._clock())
        for each in stored.values():
            self._load(connection, each)

    def _load(self, connection: sqlite3.Connection, stored: Stored) -> None:
        try:
            target, rows = understand(stored.spec)
            try:
                live.replace_live(connection, target, rows, self._clock())
            except (sqlite3.Error, KeyError) as error:
                live.replace_live(connection, target, {}, self._clock())
                raise UnreadableError(str(error)) from error
        except UnreadableError as error:
            _log.error("object not understood", object=stored.name, error=str(error))

    def _look_again(self, connection: sqlite3.Connection, name: str, copy: _Copy) -> None:
        try:
            stored = self._objects.get(name)
        except GoneError:
            copy.version = copy.digest = ""
        except PlatformError as error:
            raise LedgerError(f"{name}: cannot be read: {error}") from error
        else:
            self._believe(connection, stored)
            copy.version, copy.digest = stored.version, ""
        self._doubtful.discard(name)

    def _believe(self, connection: sqlite3.Connection, stored: Stored) -> None:
        if stored.name == COMMON and stored.spec.get("term") != ids.term(connection):
            raise LedgerError("another replica leads by now")
        with transaction(connection):
            if stored.name == COMMON:
                _set_words(connection, stored.spec.get("words", {}))
            else:
                self._load(connection, stored)
            touched.take(connection)

    def _spec(self, connection: sqlite3.Connection, target: str) -> Spec | None:
        if target == touched.NOBODY:
            words = connection.execute("SELECT key, value FROM meta WHERE key != ?", (ids.TERM,))
            return {"term": ids.term(connection), "words": {row["key"]: row["value"] for row in words}}
        rows = live.live_rows(connection, target, self._clock())
        (last,) = connection.execute("SELECT max(at) FROM actions WHERE target = ?", (target,)).fetchone()
        return describe(target, rows, last and last + self._cooldown) if rows else None

    def _write(self, target: str, spec: Spec | None) -> None:
        name = COMMON if target == touched.NOBODY else name_of(target)
        copy = self._copies.get(name) or _Copy(target)
        digest = _digest(spec) if spec else ""
        if digest == copy.digest and (spec or not copy.version):
            return
        self._copies[name] = copy
        self._doubtful.add(name)
        try:
            copy.version = self._store(name, spec, copy.version)
        except PlatformError as error:
            raise LedgerError(f"{name}: is not written: {error}") from error
        copy.digest = digest

    def _store(self, name: str, spec: Spec | None, version: str) -> str:
        with suppress(GoneError):  # somebody has removed it
            if version and spec is None:
                self._objects.delete(name, version)
            elif version and spec is not None:
                return self._objects.replace(name, spec, version)
        return "" if spec is None else self._objects.create(name, spec)


def _target_of(stored: Stored) -> str:
    return touched.NOBODY if stored.name == COMMON else understand(stored.spec)[0]


def _set_words(connection: sqlite3.Connection, words: dict[str, Any]) -> None:
    connection.execute("DELETE FROM meta WHERE key != ?", (ids.TERM,))
    connection.executemany(
        "INSERT INTO meta (key, value) VALUES (?, ?)", [(word, str(value)) for word, value in words.items()]
    )


def _digest(spec: Spec) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
