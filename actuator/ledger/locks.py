"""Locks between processes on one ledger; the kernel lets go of them when a process dies."""

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from actuator.ledger.database import LedgerError
from actuator.model.orders import Target

_PLACES = 2**62
_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` on 64 bits: type, from where, start, length, process."""


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
def acting_lock(ledger: Path, target: Target, wait: bool) -> Iterator[bool]:
    """Hold the right to touch a container, and tell whether it was to be had; with ``wait`` it always is.

    One byte of the file stands for each pod or container. The lock belongs to the opened file, not to the process: so
    threads of one process exclude each other on a container as processes do, and on no other.
    """
    with _open(ledger, "acting") as file:
        command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
        try:
            fcntl.fcntl(file, command, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _place(target), 1, 0))
        except (BlockingIOError, PermissionError):
            yield False
        else:
            yield True


def _place(target: Target) -> int:
    """Containers of a pod share one: they share its resizes, and get new ids when they restart."""
    whole = f"{target.namespace}/{target.pod}" if target.pod else target.container_id or target.container
    return int.from_bytes(hashlib.sha256(whole.encode()).digest()[:8]) % _PLACES


def _open(ledger: Path, purpose: str) -> IO[str]:
    path = ledger.with_name(f"{ledger.name}.{purpose}")
    try:
        return path.open("w")
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}; set ledger.path to a writable place") from error
