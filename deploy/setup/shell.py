"""Running programs, and telling the person who waits."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


class SetupError(Exception):
    """One line that says what could not be done, and where the reason is."""


def say(line: str) -> None:
    """Write one line for the person who waits."""
    # Whose terminal is closed hears no more, but what was started must still be stopped and removed.
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def run_logged(
    what: str,
    command: Sequence[object],
    log: Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run ``command`` with its output in ``log``; raise SetupError with the log's last lines when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    say(f"setup: {what} ...")
    began = time.monotonic()
    with log.open("wb") as output:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"{what} failed (exit {done.returncode}); the end of {log}:\n{tail}")
    say(f"setup: {what}: done in {time.monotonic() - began:.0f} s")


def spawn(command: Sequence[object], log: Path) -> int:
    """Start a program that outlives this one, in a session of its own, its output added to ``log``; return its id.

    Ctrl-C reaches only us, so that parts are stopped in order.
    """
    program = shutil.which(str(command[0]))
    if program is None:
        raise SetupError(f"{command[0]} is not there; run: make setup-tests")
    log.parent.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    words = [str(part) for part in command]
    return os.posix_spawn(program, words, os.environ, file_actions=streams, setsid=True, setsigmask=[])


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and its like wait, so that no program is started without being remembered."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
