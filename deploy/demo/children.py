"""Child processes that are started, waited for and stopped by their own id, and remembered across a crash."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import requests

from deploy.setup.shell import SetupError, spawn

_TERM_SECONDS = 10.0


@dataclass(frozen=True)
class Child:
    """A process that was started here; its start time tells it from a later one with the same number."""

    name: str
    pid: int
    started: int
    """Clock ticks after boot."""


def start_child(name: str, command: Sequence[object], log: Path) -> Child:
    """Start ``command`` in a session of its own, with its output in ``log``."""
    pid = spawn(command, log)
    return Child(name, pid, _start_ticks(pid) or 0)


def is_running(child: Child) -> bool:
    """Return whether the process still runs (a dead child of ours is collected)."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child.pid, os.WNOHANG)
    return _start_ticks(child.pid) == child.started


def stop_child(child: Child) -> None:
    """Ask the process to end, then end it and whatever it had started."""
    if not is_running(child):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + _TERM_SECONDS
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child.pid, 0)


def wait_until_ready(child: Child, url: str, log: Path, timeout: float) -> None:
    """Wait until ``url`` answers 200; raise SetupError with the log's end when it does not."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not is_running(child):
            raise SetupError(f"{child.name} ended at once; the end of {log}:\n{log_tail(log)}")
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=2).status_code == requests.codes.ok:
                return
        time.sleep(0.2)
    raise SetupError(f"{child.name} did not answer at {url} in {timeout:.0f} s; the end of {log}:\n{log_tail(log)}")


def wait_for(
    predicate: Callable[[], object], timeout: float, what: str, logs: Callable[[], Iterable[Path]], pause: float = 0.3
) -> None:
    """Wait until ``predicate`` holds, looking every ``pause`` seconds.

    Raises SetupError that says ``what`` did not happen, with the ends of ``logs``.
    """
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            ends = "\n".join(f"--- {log.stem}\n{log_tail(log, 5)}" for log in logs())
            raise SetupError(f"in {timeout:.0f} s this did not happen: {what}\n{ends}")
        time.sleep(pause)


def log_tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def save_state(path: Path, children: Sequence[Child], addresses: Mapping[str, str]) -> None:
    """Remember what runs, for ``demo-down`` and for a start after a crash."""
    document = {"children": [asdict(child) for child in children], "addresses": dict(addresses)}
    # Half a file, left by an interruption, could not be read by the run that must clean up.
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(document, indent=1))
    draft.replace(path)


def load_children(path: Path) -> list[Child]:
    """Return what a run had remembered, in the order of its start; nothing without a state file."""
    if not path.exists():
        return []
    return [Child(**fields) for fields in json.loads(path.read_text())["children"]]


def _start_ticks(pid: int) -> int | None:
    """Field 22 of stat, counted after the command name, which may hold blanks; None for a zombie or no process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
