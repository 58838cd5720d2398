"""Leaks put into real pods' quiet days, against look-alikes: found, told apart, and how long is left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from behaviour_rows import Row
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from exporter.assess.leaks import Leaks
from exporter.history.signals import COLUMN, SIGNALS
from exporter.history.windows import Window

Numbers = NDArray[np.float64]

STEP, LENGTH = 57.0, 1441
LIMIT = 4 * 2.0**30
WINDOW = 240
"""Columns of past, as in ``replay``."""
DRAWS = 3
"""Times that each pod gets one of every kind: single draws differ by .05 in what is found."""
EVERY = 5
"""Samples between two looks."""
ALARM = 0.8
EASY, HARD, ALIKE = ("ramp",), ("collected", "stairs", "noisy"), ("warm-up", "steps", "wave", "tooth", "noise")
TIMES = np.arange(LENGTH)
HOUR = round(3600 / STEP)
SOON = 4 * 3600.0
"""The usual rule on predict_linear asks whether the limit is met within four hours."""


@dataclass(frozen=True)
class Case:
    """One day; ``onset`` and ``end`` are columns, -1 where nothing leaks."""

    kind: str
    use: Numbers
    onset: int = -1
    end: int = -1


@dataclass(frozen=True)
class Looks:
    """[looks, cases] each."""

    score: Numbers
    left: Numbers
    """Seconds; NaN where none is in sight."""


def measure(data: Path) -> list[Row]:
    """Return the figures of leaks on the pods in ``data``."""
    pods = _pods(data / "alibaba2026_pod_mem" / "dev.csv.xz")
    still = [pod for pod in pods if _is_quiet(pod)]
    drawn = [np.random.default_rng(seed) for seed in range(DRAWS)]
    cases = [case for random in drawn for pod in still for case in _cases(pod, random)]
    ours, peer = _ours(cases), _slopes(cases)
    quiet = [Case("quiet", pod) for pod in still]
    rows = [row for name, kinds in (("easy", EASY), ("hard", HARD)) for row in _rows(name, kinds, cases, ours, peer)]
    for name, group in (("quiet pods", quiet), ("look-alikes", _of(cases, ALIKE))):
        theirs = {"slope 1h": _episodes(_slopes(group))}
        rows.append(Row(f"leaks: false, {name}", _episodes(_ours(group)), 0.05, False, "episodes/pod-day", theirs))
    return rows


def _rows(name: str, kinds: tuple[str, ...], cases: list[Case], ours: Looks, peer: Looks) -> Iterator[Row]:
    bar, worst = {"easy": (0.99, 0.085), "hard": (0.955, 0.12)}[name]
    for what, figure, floor, above in (("AUC", _auc, bar, True), ("time left, median error", _error, worst, False)):
        theirs = {"slope 1h": figure(kinds, cases, peer)}
        yield Row(f"leaks: {what}, {name}", figure(kinds, cases, ours), floor, above, "", theirs)
    theirs = {"slope 1h": _found(kinds, cases, peer)}
    yield Row(f"leaks: found by half way, {name}", _found(kinds, cases, ours), 0.95, True, "", theirs)


def _pods(path: Path) -> list[Numbers]:
    table = pd.read_csv(path)
    first, pods = table.t.min(), []
    for _, rows in table.groupby("container_ip"):
        use, column = np.full(LENGTH, np.nan), np.rint((rows.t.to_numpy() - first) / STEP).astype(int)
        use[column[column < LENGTH]] = rows.value.to_numpy()[column < LENGTH]
        pods.append(use)
    return pods


def _is_quiet(use: Numbers) -> bool:
    low, high = np.nanquantile(use, [0.02, 0.98])
    headroom = 1 - np.nanmax(use)
    return bool(headroom > 0.15 and high - low < 0.15 * headroom and np.isfinite(use).mean() > 0.9)


def _cases(base: Numbers, random: np.random.Generator) -> Iterator[Case]:
    for kind in (*EASY, *HARD):
        lasts = int(random.uniform(200, 1100))
        onset = int(random.uniform(120, max(121, LENGTH - 0.75 * lasts)))
        room = 1 - float(np.nanmedian(base[onset - 60 : onset + 1]))
        use = base + room * _leaking(kind, onset, lasts, random)
        met = np.flatnonzero(use >= 1) if kind != "noisy" else np.array([onset + lasts])
        end = int(met[0]) if len(met) else onset + lasts
        yield Case(kind, np.where(end <= TIMES, np.minimum(use, 1.0), use), onset, end)
    room = 1 - float(np.nanmax(base))
    for kind in ALIKE:
        hiss = random.normal(0, random.choice([0.003, 0.03]), LENGTH)
        yield Case(kind, np.minimum(base + room * (_alike(kind, random) + hiss), 1.0))


def _leaking(kind: str, onset: int, lasts: int, random: np.random.Generator) -> Numbers:
    """Return the share of the headroom that the leak has used."""
    line = np.maximum(TIMES - onset, 0) / lasts
    if kind == "collected":
        tooth = (TIMES / random.uniform(8, 60) + random.uniform()) % 1 - 0.5
        return np.asarray(line + random.uniform(0.05, 0.25) * tooth)
    if kind == "stairs":
        count = int(random.uniform(10, 24))
        heights = random.uniform(0.5, 1.5, count)
        at = onset + lasts * (np.arange(count) + random.uniform(0.1, 0.9, count)) / count
        stairs = (TIMES[:, None] >= at) @ (heights / heights.sum())
        return np.where(onset + lasts < TIMES, line, stairs)
    if kind == "noisy":
        return np.asarray(line + random.uniform(0.02, 0.08) * _noise(random))
    return np.asarray(line + random.normal(0, 0.003, LENGTH))


def _alike(kind: str, random: np.random.Generator) -> Numbers:
    since = np.maximum(TIMES - int(random.uniform(60, 1000)), 0)
    phase = 2 * np.pi * (TIMES * STEP / 86400 + random.uniform())
    steps, harmonic = int(random.integers(1, 4)), random.uniform()
    shapes: dict[str, Callable[[], Numbers]] = {
        "warm-up": lambda: random.uniform(0.1, 0.6) * (1 - np.exp(-since / random.uniform(20, 200))),
        "steps": lambda: (TIMES[:, None] >= random.uniform(60, 1300, steps)) @ random.uniform(0.1, 0.27, steps),
        "wave": lambda: random.uniform(0.05, 0.3) * (1 + 0.8 * np.sin(phase) + 0.2 * harmonic * np.sin(2 * phase)),
        "tooth": lambda: random.uniform(0.05, 0.5) * (TIMES / random.uniform(8, 120) % 1),
        "noise": lambda: random.uniform(0.02, 0.08) * _noise(random),
    }
    return shapes[kind]()


def _noise(random: np.random.Generator) -> Numbers:
    """Return noise of unit variance, white or with a memory of five samples."""
    noise = random.normal(0, 1, LENGTH)
    if random.uniform() < 0.5:
        for column in range(1, LENGTH):
            noise[column] = 0.8 * noise[column - 1] + 0.6 * noise[column]
    return noise


def _columns() -> list[int]:
    return list(range(EVERY, LENGTH, EVERY))


def _ours(cases: list[Case]) -> Looks:
    leaks, use = Leaks(), np.array([case.use for case in cases])
    found = [leaks.find(_window(use, column)) for column in _columns()]
    return Looks(np.array([look.score for look in found]), np.array([look.exhaustion for look in found]))


def _window(use: Numbers, column: int) -> Window:
    seen = use[:, max(0, column + 1 - WINDOW) : column + 1]
    rows, width = seen.shape
    signals = np.full((rows, len(SIGNALS), width), np.nan, np.float32)
    signals[:, COLUMN["memory"]] = seen * LIMIT
    return Window(
        step=STEP,
        end=1.6e9 + column * STEP,
        lives=np.arange(rows),
        workloads=np.arange(rows),
        signals=signals,
        started=np.full(rows, 1.5e9),
        cpu_limit=np.full(rows, np.nan, np.float32),
        memory_limit=np.full(rows, LIMIT, np.float32),
        syscalls=np.full((rows, 0), np.nan, np.float32),
        syscall_names=(),
        connections=np.full((rows, 0), np.nan, np.float32),
        protocol_names=(),
        node_cpu=np.full(width, np.nan, np.float32),
    )


def _slopes(cases: list[Case]) -> Looks:
    """Judge by the least-squares line through the last hour, as predict_linear does; .8 is four hours left."""
    left = np.full((len(_columns()), len(cases)), np.nan)
    for look, column in enumerate(_columns()):
        seen = np.array([case.use[max(0, column + 1 - HOUR) : column + 1] for case in cases])
        place = np.where(np.isfinite(seen), np.arange(1 - seen.shape[1], 1) * STEP, np.nan)
        middle, level = np.nanmean(place, axis=1), np.nanmean(seen, axis=1)
        slope = np.nanmean((place - middle[:, None]) * (seen - level[:, None]), axis=1) / np.nanvar(place, axis=1)
        room = np.maximum(1 - level + slope * middle, 0)
        left[look] = np.where(slope > 0, room / np.where(slope > 0, slope, 1), np.inf)
    return Looks(np.exp(np.log(ALARM) * left / SOON), left)


def _of(cases: list[Case], kinds: tuple[str, ...]) -> list[Case]:
    return [case for case in cases if case.kind in kinds]


def _half(case: Case) -> int:
    """Return the last look at or before half way."""
    return min((case.onset + case.end) // 2 // EVERY, len(_columns())) - 1


def _auc(kinds: tuple[str, ...], cases: list[Case], looks: Looks) -> float:
    """Compare leaks half way with look-alikes at five moments each."""
    random, scores, truth = np.random.default_rng(0), [], []
    for number, case in enumerate(cases):
        at = [_half(case)] if case.kind in kinds else random.integers(40, len(_columns()), 5)
        if case.kind in (*kinds, *ALIKE):
            scores += looks.score[at, number].tolist()
            truth += [case.kind in kinds] * len(at)
    return float(roc_auc_score(truth, scores))


def _error(kinds: tuple[str, ...], cases: list[Case], looks: Looks) -> float:
    """Return the median relative error half way; where nothing is said, it is infinite."""
    errors = []
    for number, case in enumerate(cases):
        if case.kind in kinds:
            look = _half(case)
            true = (case.end - _columns()[look]) * STEP
            errors.append(abs(np.nan_to_num(looks.left[look, number], nan=np.inf) - true) / true)
    return float(np.median(errors))


def _found(kinds: tuple[str, ...], cases: list[Case], looks: Looks) -> float:
    at = np.array(_columns())
    chosen = [(number, case) for number, case in enumerate(cases) if case.kind in kinds]
    during = [(at > case.onset) & (at <= at[_half(case)]) for _, case in chosen]
    alarms = [looks.score[part, number] >= ALARM for part, (number, _) in zip(during, chosen, strict=True)]
    return float(np.mean([alarm.any() for alarm in alarms]))


def _episodes(looks: Looks) -> float:
    begun = np.diff((looks.score >= ALARM).astype(int), axis=0, prepend=0) == 1
    return float(begun.sum() / looks.score.shape[1] / (LENGTH * STEP / 86400))
