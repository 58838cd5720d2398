"""Locks between processes on one ledger; the kernel lets go of them when a process dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from actuator.ledger.database import LedgerError


def hold_alone(ledger: Path) -> IO[str]:
    """Return the lock of the one ``run`` on this ledger, held until closed; raise LedgerError where another has it."""
    file = _open(ledger, "run")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise LedgerError(f"{ledger}: is in use by another run; set another ledger.path or stop it") from error
    return file


@contextmanager
def acting_lock(ledger: Path) -> Iterator[None]:
    """Wait for, and hold, the right to touch the platform: ``run`` and ``restore`` never do so at once."""
    with _open(ledger, "acting") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open(ledger: Path, purpose: str) -> IO[str]:
    path = ledger.with_name(f"{ledger.name}.{purpose}")
    try:
        return path.open("w")
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}; set ledger.path to a writable place") from error
