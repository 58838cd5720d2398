"""Peers that are libraries: each in an environment that has it, asked by files, its answers kept by content."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forecast_ours import Case
from forecast_rules import Doubles, Places

from exporter.history.signals import LEVELS

STATSFORECAST = "2.1.1"
CONTEXT = 1000
"""Newest points that a library is fitted to."""
_CHUNKS = 5
"""Parts that a series' origins are fitted in, all series' first ones first, so that a short run covers each series."""
_ORIGINS = {"AutoARIMA": 30, "AutoETS": 30, "AutoTheta": 30, "pmdarima": 6}
LIBRARIES = tuple(_ORIGINS)
_BUILD = Path(__file__).parents[2] / "build"


@dataclass(frozen=True)
class Job:
    """Some origins of one case."""

    case: int
    places: Places
    """Into the case's origins."""
    key: str


@dataclass(frozen=True)
class Answer:
    """What a peer said of one case."""

    places: Places
    """[answered], into the case's origins, rising"""
    forecast: Doubles
    """[answered, horizons, levels]"""
    cpu_seconds: float
    """NaN if not measured."""


def ask(peer: str, cases: Sequence[Case], seconds: float, cache: Path) -> dict[int, Answer]:
    """Return the answers of ``peer`` by case, those it gave before and what it adds in ``seconds``."""
    jobs = [job for chunk in range(_CHUNKS) for job in _jobs(peer, cases, chunk, cache)]
    missing = [job.key for job in jobs if not (cache / f"{job.key}.npz").exists()]
    if missing and seconds > 0:
        worker = Path(__file__).parent / "forecast_worker.py"
        command = [str(_interpreter(peer)), str(worker), peer, str(seconds), str(cache), *missing]
        subprocess.run(command, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    for job in jobs:
        (cache / f"{job.key}.job.npz").unlink(missing_ok=True)
    return _gathered(jobs, cache)


def enough(peer: str, cases: Sequence[Case], answers: Mapping[int, Answer]) -> bool:
    """Return whether each case was answered at half of its origins at least; fewer say little."""
    asked = [len(_asked(peer, case)) for case in cases]
    return all(number in answers and 2 * len(answers[number].places) >= n for number, n in enumerate(asked))


def _asked(peer: str, case: Case) -> Places:
    return np.unique(np.linspace(0, len(case.origins) - 1, _ORIGINS[peer]).round().astype(np.int64))


def _jobs(peer: str, cases: Sequence[Case], chunk: int, cache: Path) -> list[Job]:
    jobs = []
    for number, case in enumerate(cases):
        places = _asked(peer, case)[chunk::_CHUNKS]
        if places.size:
            jobs.append(Job(number, places, _write(peer, case, places, cache)))
    return jobs


def _write(peer: str, case: Case, places: Places, cache: Path) -> str:
    context = np.full((len(places), CONTEXT), np.nan)
    for at, origin in enumerate(case.origins[places]):
        past = case.values[max(origin + 1 - CONTEXT, 0) : origin + 1]
        context[at, CONTEXT - len(past) :] = past
    ahead, levels = np.array(case.ahead), np.array(LEVELS)
    version = "" if peer == "pmdarima" else STATSFORECAST
    digest = hashlib.sha256(f"{peer} {version}".encode())
    for part in (context, ahead, levels):
        digest.update(part.tobytes())
    key = f"{peer}-{digest.hexdigest()[:24]}"
    if not (cache / f"{key}.npz").exists():
        np.savez(cache / f"{key}.job.npz", context=context, ahead=ahead, levels=levels)
    return key


def _gathered(jobs: list[Job], cache: Path) -> dict[int, Answer]:
    parts: dict[int, list[tuple[Places, Doubles, float]]] = {}
    for job in jobs:
        path = cache / f"{job.key}.npz"
        if path.exists():
            held = np.load(path)
            parts.setdefault(job.case, []).append((job.places, held["forecast"], float(held["cpu_seconds"])))
    answers = {}
    for case, found in parts.items():
        places = np.concatenate([each[0] for each in found])
        order = np.argsort(places)
        forecast = np.concatenate([each[1] for each in found])
        answers[case] = Answer(places[order], forecast[order], sum(each[2] for each in found))
    return answers


def _interpreter(peer: str) -> Path:
    """Return the Python that has the library, in an environment made on first use."""
    if peer == "pmdarima":
        return Path(sys.executable)
    folder = _BUILD / "bench-venv" / f"statsforecast-{STATSFORECAST}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        print(f"installing statsforecast {STATSFORECAST} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"statsforecast=={STATSFORECAST}"], check=True)
        complete.touch()
    return python
