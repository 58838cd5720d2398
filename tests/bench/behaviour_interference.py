"""Live interference: real containers on this machine, a culprit among them, and whether the exporter names it.

What was read is kept, trial by trial, under build/bench/behaviour: a run that was ended goes on where it stopped, and a
change of the method is judged on the same recordings. `python tests/bench/behaviour_interference.py --seed 2` makes
another set of trials and tells of each.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from behaviour_rows import Row
from interference_judge import Verdict, judge
from interference_live import RUN, make, make_image, parts, remove_containers
from interference_trials import KINDS, Trial, described, plan

from deploy.setup.engine import start_engine, stop_engine

SEED = 1
_KEPT = Path(__file__).parents[2] / "build" / "bench" / "behaviour"
_PLAIN = ("cpu", "disk_io", "threads", "network_io")


def measure(_data: Path) -> list[Row]:
    """Return the figures of the trials of SEED; those that are not there yet are made, some 70 minutes in all."""
    return rows(record(SEED))


def record(seed: int) -> list[Verdict]:
    """Make the trials of ``seed`` that are missing, and judge all."""
    folder = _KEPT / f"interference-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    trials = plan(seed)
    files = {trial.number: folder / f"{trial.number:02d}.gz" for trial in trials}
    if missing := [trial for trial in trials if not _is_made(trial, files[trial.number])]:
        # The exporter is not run at low priority, at which the culprits would starve it.
        os.setpriority(os.PRIO_PROCESS, 0, 0)
        start_engine(RUN)
        try:
            _make(missing, folder, files)
        finally:
            stop_engine(RUN)
    return [judge(files[trial.number]) for trial in trials]


def _make(trials: list[Trial], folder: Path, files: dict[int, Path]) -> None:
    remove_containers()
    make_image()
    with parts(folder) as places:
        for left, trial in zip(range(len(trials), 0, -1), trials, strict=True):
            what = f"{trial.kind}, bystanders {'busy' if trial.busy else 'idle'}"
            print(f"{time.strftime('%H:%M:%S')} {left} left; now {what}", file=sys.stderr, flush=True)
            make(trial, places, files[trial.number])


def _is_made(trial: Trial, file: Path) -> bool:
    """Tell whether this very trial was made, rather than one of an older plan."""
    if not file.exists():
        return False
    head = json.loads(file.with_suffix(".json").read_text())
    return all(head.get(key) == value for key, value in json.loads(json.dumps(described(trial))).items())


def rows(found: list[Verdict]) -> list[Row]:
    """Return the figures of judged trials."""
    trials = [one for one in found if one.kind != "quiet"]
    plain = [one for one in trials if one.kind in _PLAIN]
    memory = [one for one in trials if one.kind == "memory_bandwidth"]
    quiet = [one.accused for one in found if one.kind == "quiet"]
    after = [one.after for one in trials if one.first]
    return [
        _of("live: culprit first, CPU, disk, forks, network", plain, 38 / 40),
        _of("live: culprit first, memory bandwidth", memory, 6 / 10),
        Row("live: trials in which the victim was blamed", sum(one.victim_blamed for one in found), 0, False),
        Row("live: kind right", float(np.mean([one.named == one.kind for one in trials])), 0.9, True),
        Row("live: quiet seconds with an accusation", _share(quiet), 0.01, False),
        Row("live: longest time to name the culprit", max(after, default=float("nan")), 15.0, False, "s"),
        *(_of(f"live: culprit first, {kind}", [one for one in trials if one.kind == kind], 0.6) for kind in KINDS),
    ]


def _of(what: str, trials: list[Verdict], bar: float) -> Row:
    peers = {"largest change in CPU": _mean(one.peer for one in trials)}
    return Row(what, _mean(one.first for one in trials), bar, True, "", peers)


def _mean(which: Iterator[bool]) -> float:
    return float(np.mean(list(which)))


def _share(turns: list[tuple[int, int]]) -> float:
    accused, all_turns = np.sum(turns, axis=0)
    return float(accused / all_turns)


def main() -> None:
    """Print each trial of a seed, and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="which set of trials")
    found = record(parser.parse_args().seed)
    for one in found:
        place = "first" if one.first else "not first"
        print(f"{one.kind:17} {place:10} as {one.named or '-':17} {one.after:5.1f} s", end=" ")
        print(f"{'VICTIM BLAMED ' if one.victim_blamed else ''}accused {one.accused} slowdown {one.slowdown:.1f}")
    for row in rows(found):
        print(f"{row.what:58} {row.ours:8.3g} {'>=' if row.at_least else '<='} {row.bar:g} {row.peers or ''}")


if __name__ == "__main__":
    main()
