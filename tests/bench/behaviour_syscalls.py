"""Learned calls: real exploits replayed through the product, and traces of programs under attack."""

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from behaviour_rows import Row
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from exporter.assess.habits import MOST_PAIRS, MOST_STEPS, Habit
from exporter.config import Config
from exporter.replay import run_replay
from exporter.sources.families import SYSCALLS
from exporter.sources.replay import HEADER

STEP, LEARN = 0.1, 180.0
AFTER = 10
"""Rows after success that still count: two exploits fire just after it."""
START = 1_700_000_000.0
SCORES = {"cpp_anomaly_ratio": "evidence", "cpp_security_risk_ratio": "page"}
PEER_RATE = 0.0015
MOST_CALLS = 400
"""Pairs that the probe follows unless it is told otherwise."""
Numbers = NDArray[np.float64]
Trace = NDArray[np.int64]


@dataclass(frozen=True)
class Trial:
    """One container: minutes of normal work, then one in which it is attacked."""

    name: str
    calls: tuple[str, ...]
    normal: Numbers
    """[rows, calls], counts."""
    attacked: Numbers
    begin: int
    """Row of ``attacked`` at which the exploit begins."""

    def judge(self, alarms: NDArray[np.bool_]) -> tuple[int, int, bool]:
        """Return false alarms, rows before the attack, and whether it was found, by a verdict a row of ``attacked``."""
        before, during = alarms[: self.begin], alarms[self.begin :]
        return int(before.sum()), len(before), bool(during.any())


def trials(data: Path) -> Iterator[list[Trial]]:
    """Yield the containers of each exploit."""
    for path in sorted((data / "shil_container_syscalls" / "dev").glob("*.npz")):
        held = np.load(path)
        calls = tuple(str(name) for name in held["syscalls"])
        yield [_trial(held, calls, f"{path.stem}-{number}", number) for number in range(1, 5)]


def _trial(held: dict[str, Numbers], calls: tuple[str, ...], name: str, number: int) -> Trial:
    begin, success = (int(row) - 1 for row in held[f"attack_c{number}"][:2])
    attacked = held[f"test_c{number}"][: success + AFTER + 1].astype(float)
    return Trial(name, calls, held[f"train_c{number}"].astype(float), attacked, begin)


def replayed(group: list[Trial], folder: Path) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return the alarms of each score and container, a row of its attacked part each."""
    recording, output = folder / "in.csv", folder / "out.csv"
    with recording.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(_samples(group))
    if run_replay(Config(), recording, output, STEP, LEARN):
        raise RuntimeError(f"{group[0].name}: cannot be replayed")
    alarms: dict[str, dict[str, list[bool]]] = {score: {trial.name: [] for trial in group} for score in SCORES}
    with output.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["score"] in SCORES:
                alarms[row["score"]][row["container"]].append(row["alarm"] == "1")
    return {score: {t.name: _attacked(it[t.name], t) for t in group} for score, it in alarms.items()}


def _attacked(alarms: list[bool], trial: Trial) -> NDArray[np.bool_]:
    # The recording begins with a row of zeros, since rates need two samples.
    first = 1 + len(trial.normal)
    return np.array(alarms[first : first + len(trial.attacked)])


def _samples(group: list[Trial]) -> Iterator[tuple[str, str, str, str, int]]:
    totals = [(t, np.cumsum(np.vstack([np.zeros((1, len(t.calls))), t.normal, t.attacked]), axis=0)) for t in group]
    for row in range(max(len(total) for _, total in totals)):
        stamp = f"{START + row * STEP:.1f}"
        for trial, total in totals:
            if row < len(total):
                used = np.flatnonzero(total[row]) if row else range(1)
                yield from ((stamp, trial.name, SYSCALLS, trial.calls[c], int(total[row, c])) for c in used)


def _pca(normal: Numbers, attacked: Numbers) -> tuple[Numbers, Numbers]:
    model = PCA(0.95).fit(np.log1p(normal))
    first, second = (
        ((np.log1p(x) - model.inverse_transform(model.transform(np.log1p(x)))) ** 2).sum(axis=1)
        for x in (normal, attacked)
    )
    return first, second


def _forest(normal: Numbers, attacked: Numbers) -> tuple[Numbers, Numbers]:
    model = IsolationForest(random_state=0).fit(np.log1p(normal))
    return -model.score_samples(np.log1p(normal)), -model.score_samples(np.log1p(attacked))


_PEERS = {"PCA residual": _pca, "IsolationForest": _forest}


def _exploits(data: Path) -> list[Row]:
    tallies: dict[str, list[tuple[int, int, bool]]] = {name: [] for name in (*SCORES, *_PEERS)}
    for group in trials(data):
        with tempfile.TemporaryDirectory() as folder:
            found = replayed(group, Path(folder))
        for trial in group:
            for score in SCORES:
                tallies[score].append(trial.judge(found[score][trial.name]))
            for name, peer in _PEERS.items():
                learned, scores = peer(trial.normal, trial.attacked)
                tallies[name].append(trial.judge(scores > np.quantile(learned, 1 - PEER_RATE)))
    rates = {name: _rates(tally) for name, tally in tallies.items()}
    peers = [{name: rates[name][part] for name in _PEERS} for part in (0, 1)]
    rows = []
    for score, bars in (("cpp_anomaly_ratio", (95.0, 0.15)), ("cpp_security_risk_ratio", (72.0, 0.01))):
        what = f"exploits, {SCORES[score]}"
        rows.append(Row(f"{what}: found", rates[score][0], bars[0], at_least=True, unit="%", peers=peers[0]))
        rows.append(
            Row(
                f"{what}: false, of the steps before",
                rates[score][1],
                bars[1],
                at_least=False,
                unit="%",
                peers=peers[1],
            )
        )
    return rows


def _rates(tally: list[tuple[int, int, bool]]) -> tuple[float, float]:
    false, steps, found = (float(sum(column)) for column in zip(*tally, strict=True))
    return 100 * found / len(tally), 100 * false / steps


def _traces(data: Path) -> list[Row]:
    table = pd.read_csv(data / "adfa_ld" / "dev.tsv.gz", sep="\t")
    traces = [np.array(text.split(), np.int64) for text in table["syscalls"]]
    learned, tried = np.flatnonzero(table["split"] == "train"), np.flatnonzero(table["split"] != "train")
    bad = (table["class"].to_numpy()[tried] != "normal").astype(int)
    scores = _judged([traces[i] for i in learned], [traces[i] for i in tried])
    peers = {f"STIDE n={n}": _stide([traces[i] for i in learned], [traces[i] for i in tried], n) for n in (3, 5, 6)}
    areas = {name: float(roc_auc_score(bad, peer)) for name, peer in peers.items()}
    hits = {name: _hits(bad, peer) for name, peer in peers.items()}
    return [
        Row("traces, ROC-AUC", float(roc_auc_score(bad, scores)), 0.9, at_least=True, peers=areas),
        Row("traces, found at 5 % false", _hits(bad, scores), 50.0, at_least=True, unit="%", peers=hits),
    ]


def _judged(learned: list[Trace], tried: list[Trace]) -> Numbers:
    """Return how strange each trace is to a profile of ``learned`` ones, by calls and by pairs."""
    habit = Habit()
    for trace in learned:
        habit.learn(_logs([trace])[0], _pairs(trace), MOST_STEPS, MOST_PAIRS)
    habit.draw()
    if habit.fitted is None:
        raise RuntimeError("no portrait of the learned traces")
    logs = _logs(tried)
    columns, others = habit.split(logs)
    made = habit.made([_pairs(trace) for trace in tried])
    return np.asarray(habit.fitted.strangeness(logs[:, columns], logs[:, others], made), np.float64)


def _logs(traces: list[Trace]) -> NDArray[np.float32]:
    return np.log1p(np.array([np.bincount(trace, minlength=MOST_CALLS) for trace in traces])).astype(np.float32)


def _pairs(trace: Trace) -> Trace:
    return np.unique(trace[:-1] * MOST_CALLS + trace[1:])


def _hits(bad: NDArray[np.int64], scores: Numbers) -> float:
    return 100 * float((scores[bad == 1] > np.quantile(scores[bad == 0], 0.95)).mean())


def _stide(learned: list[NDArray[np.int64]], tried: list[NDArray[np.int64]], length: int) -> Numbers:
    """Return the share of each trace's sequences that no learned trace has."""
    known = {gram for trace in learned for gram in _grams(trace, length)}
    shares = [[gram not in known for gram in _grams(trace, length)] for trace in tried]
    return np.array([float(np.mean(share)) if share else 0.0 for share in shares])


def _grams(trace: NDArray[np.int64], length: int) -> list[tuple[int, ...]]:
    calls = trace.tolist()
    return [tuple(calls[start : start + length]) for start in range(len(calls) - length + 1)]


def measure(data: Path) -> list[Row]:
    """Return all figures of this part."""
    return _exploits(data) + _traces(data)
