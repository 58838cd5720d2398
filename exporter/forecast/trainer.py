"""Starts the training child and takes its answer, without ever waiting for it in a cycle."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from exporter.forecast import exchange
from exporter.forecast.exchange import Arrays, NonsenseError
from exporter.forecast.isolation import environment, remove_left_over, scratch

CHILD: Final = (sys.executable, "-P", "-m", "exporter.forecast.child")
REASONS: Final = ("start", "deadline", "died", "nonsense")
"""Why a pass failed: no child could be started, it did not end in time, ended with an error, or cannot be believed."""
_GRACE = 30.0
"""Seconds beyond its own limit after which the child is killed: import and one last search."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a pass found."""

    arrays: Arrays
    cpu_seconds: float
    complaint: str
    """Last line the child wrote on stderr; empty if none."""


@dataclass(frozen=True)
class Failure:
    """A pass that found nothing; one of REASONS."""

    reason: str
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class _Pass:
    process: subprocess.Popen[bytes]
    scratch: tempfile.TemporaryDirectory[str]
    deadline: float
    cpu_before: float

    def read(self, name: str) -> bytes:
        return (Path(self.scratch.name) / name).read_bytes()

    def complaint(self) -> str:
        return "".join(self.read("complaint").decode(errors="replace").strip().splitlines()[-1:])

    def cpu_seconds(self) -> float:
        return max(_children_cpu() - self.cpu_before, 0.0)


class Trainer:
    """At most one child at a time; ``clock`` is monotonic, ``command`` another program than the child itself."""

    def __init__(self, seconds: float, clock: Callable[[], float], command: Sequence[str] = CHILD) -> None:
        self._seconds = seconds
        self._clock = clock
        self._command = list(command)
        self._running: _Pass | None = None
        self._unborn: Failure | None = None
        self._swept = False

    @property
    def busy(self) -> bool:
        """Whether a child is at work or its answer not yet taken."""
        return self._running is not None or self._unborn is not None

    def start(self, request: Mapping[str, NDArray[Any]]) -> None:
        """Hand ``request`` to a new child; where none can be started, ``poll`` says so."""
        try:
            with ExitStack() as undo:
                folder = scratch()
                undo.enter_context(folder)
                self._sweep(Path(folder.name))
                process = self._spawn(Path(folder.name), {"seconds": np.array(self._seconds), **request})
                undo.pop_all()
        except OSError as error:
            self._unborn = failed("start", error=str(error))
            return
        self._running = _Pass(process, folder, self._clock() + self._seconds + _GRACE, _children_cpu())

    def _sweep(self, own: Path) -> None:
        """Once, remove what children of killed exporters left beside ``own``."""
        if not self._swept:
            self._swept = True
            remove_left_over(own)

    def _spawn(self, folder: Path, request: Mapping[str, NDArray[Any]]) -> subprocess.Popen[bytes]:
        (folder / "request").write_bytes(exchange.write(request))
        with (
            (folder / "request").open("rb") as stdin,
            (folder / "answer").open("wb") as stdout,
            (folder / "complaint").open("wb") as stderr,
        ):
            return subprocess.Popen(
                self._command, stdin=stdin, stdout=stdout, stderr=stderr, env=environment(), cwd=folder
            )

    def poll(self) -> Answer | Failure | None:
        """Return how the pass ended, once; None while there is nothing to say."""
        unborn, self._unborn = self._unborn, None
        running = self._running
        if running is None:
            return unborn
        late = self._clock() > running.deadline
        if running.process.poll() is None:
            if not late:
                return None
            running.process.kill()
            running.process.wait()
        self._running = None
        with running.scratch:
            return _ended(running, late)

    def wait(self) -> Answer | Failure | None:
        """Return how the pass ended, waiting for it as long as the child may take."""
        if self._running is not None:
            try:
                self._running.process.wait(self._seconds + _GRACE)
            except subprocess.TimeoutExpired:
                self._running.process.kill()
                self._running.process.wait()
        return self.poll()

    def close(self) -> None:
        """End the child, if one is at work."""
        running, self._running = self._running, None
        if running is not None:
            running.process.kill()
            running.process.wait()
            running.scratch.cleanup()


def failed(reason: str, cpu_seconds: float = 0.0, **details: object) -> Failure:
    """Log and return a failure."""
    _log.warning("training failed; the old models go on serving", reason=reason, **details)
    return Failure(reason, cpu_seconds)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ended(running: _Pass, late: bool) -> Answer | Failure:
    cpu, code = running.cpu_seconds(), running.process.returncode
    try:
        if code:
            return failed("deadline" if late else "died", cpu, code=code, error=running.complaint())
        return Answer(exchange.read(running.read("answer")), cpu, running.complaint())
    except NonsenseError as error:
        return failed("nonsense", cpu, error=str(error))
    except OSError as error:  # the scratch folder was cleaned away
        return failed("deadline" if late else "died", cpu, code=code, error=str(error))
