"""One SQLite file, shared by threads and processes, durable at each commit."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from actuator.ledger.schema import SchemaError, prepare

_BUSY_SECONDS = 2.0


class LedgerError(Exception):
    """The ledger cannot be read or written; the message names the file and the reason."""


class Witness(Protocol):
    """Sees every transaction of a database. Each method but ``committed`` may raise LedgerError."""

    def attach(self, connection: sqlite3.Connection) -> None:
        """Prepare a new connection."""

    def settle(self, connection: sqlite3.Connection) -> None:
        """Do what has to be done before a transaction begins."""

    def publish(self, connection: sqlite3.Connection) -> None:
        """Make the transaction known before it is committed; where that fails it is rolled back."""

    def committed(self) -> None:
        """Take note that it is committed."""


class Unseen:
    """Implements ``Witness`` where nobody else needs to know."""

    def attach(self, connection: sqlite3.Connection) -> None:
        """See Witness."""

    def settle(self, connection: sqlite3.Connection) -> None:
        """See Witness."""

    def publish(self, connection: sqlite3.Connection) -> None:
        """See Witness."""

    def committed(self) -> None:
        """See Witness."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the block at its end, or roll it back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Database:
    """Two connections, each behind a lock: readers need not wait for a writer that waits for its witness.

    Autocommit is off only within ``write``.
    """

    def __init__(self, path: Path, witness: Witness) -> None:
        self.path, self._witness = path, witness
        self.writable = True
        """Whether the last write that had something to write is on disk."""
        self._lock, self._reading = threading.RLock(), threading.RLock()
        try:
            self._connection, self._reader = _connect(path), _connect(path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # NORMAL would let a power cut forget the last commits, and with them alerts already acknowledged.
            self._connection.execute("PRAGMA synchronous = FULL")
            prepare(self._connection)
            witness.attach(self._connection)
        except (sqlite3.Error, SchemaError) as error:
            raise LedgerError(f"{path}: {error}; set ledger.path to a writable file of this program") from error
        self._inode = path.stat().st_ino

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction; raise LedgerError where it is not on disk, and known, at the end."""
        with self._writing() as connection:
            self._witness.settle(connection)
            with transaction(connection):
                yield connection
                self._witness.publish(connection)
            self._witness.committed()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Run a block that makes its own transactions, unseen by the witness."""
        with self._writing() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run queries, alone, on what is committed at the first of them."""
        with self._reading:
            try:
                self._reader.execute("BEGIN")
                try:
                    yield self._reader
                finally:
                    if self._reader.in_transaction:
                        self._reader.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise LedgerError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._reading:
            self._reader.close()
            self._connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._require_same_file()
                before = self._connection.total_changes
                yield self._connection
                # A transaction that changes nothing succeeds on a full disk as well.
                self.writable = self.writable or self._connection.total_changes > before
            except LedgerError:
                self.writable = False
                raise
            except sqlite3.Error as error:
                self.writable = False
                raise LedgerError(f"{self.path}: {error}") from error

    def _require_same_file(self) -> None:
        # Writes to an unlinked file succeed and are lost.
        try:
            same = self.path.stat().st_ino == self._inode
        except OSError as error:
            raise LedgerError(f"{self.path}: {error.strerror}") from error
        if not same:
            raise LedgerError(f"{self.path}: was replaced while in use; restart")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection
