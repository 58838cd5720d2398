"""Starts the training child and takes its answer, without ever waiting for it in a cycle."""

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from exporter.history.windows import Floats, Integers

_GRACE = 30.0
"""Seconds beyond its own limit after which the child is killed: import and one last search."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class Trained:
    """What a pass found."""

    row: Integers
    """[models], rows of the series that were handed over"""
    model: np.ndarray[Any, np.dtype[np.float64]]
    """[models, arima.WIDTH]"""


@dataclass(frozen=True)
class _Pass:
    process: subprocess.Popen[bytes]
    scratch: tempfile.TemporaryDirectory[str]
    deadline: float

    def read(self, name: str) -> bytes:
        return (Path(self.scratch.name) / name).read_bytes()


class Trainer:
    """At most one child at a time; ``clock`` is monotonic."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._running: _Pass | None = None

    @property
    def busy(self) -> bool:
        """Whether a child is at work or its answer not yet taken."""
        return self._running is not None

    def start(self, series: Floats) -> None:
        """Hand ``series`` [series, time] to a new child; the most urgent first."""
        scratch = tempfile.TemporaryDirectory(prefix="cpp-training-")
        request, answer, complaint = (Path(scratch.name) / name for name in ("request", "answer", "complaint"))
        try:
            with request.open("wb") as stream:
                np.savez(stream, series=series, seconds=self._seconds)
            with request.open("rb") as stdin, answer.open("wb") as stdout, complaint.open("wb") as stderr:
                command = [sys.executable, "-m", "exporter.forecast.child"]
                process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=_environment())
        except OSError as error:
            _log.warning("training child did not start", error=str(error))
            scratch.cleanup()
            return
        self._running = _Pass(process, scratch, self._clock() + self._seconds + _GRACE)

    def poll(self) -> Trained | None:
        """Return the answer once it is there; None while there is none. A failed child is logged and forgotten."""
        running = self._running
        if running is None:
            return None
        if running.process.poll() is None:
            if self._clock() > running.deadline:
                running.process.kill()
            return None
        self._running = None
        with running.scratch:
            return _read(running)

    def wait(self) -> Trained | None:
        """Return the answer, waiting for it as long as the child may take."""
        if self._running is not None:
            try:
                self._running.process.wait(self._seconds + _GRACE)
            except subprocess.TimeoutExpired:
                self._running.process.kill()
                self._running.process.wait()
        return self.poll()

    def close(self) -> None:
        """End the child, if one is at work."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()
            self.poll()


def _environment() -> dict[str, str]:
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads}


def _read(running: _Pass) -> Trained | None:
    try:
        with np.load(io.BytesIO(running.read("answer"))) as answer:
            return Trained(answer["row"], answer["model"])
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile):
        last = running.read("complaint").decode(errors="replace").strip().splitlines()[-1:]
        _log.warning("training child failed", code=running.process.returncode, error="".join(last))
        return None
