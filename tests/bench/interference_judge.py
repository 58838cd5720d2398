"""What the exporter says of a recorded trial, and whether it is right. Who and what the culprit is, only this knows."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from interference_live import INTERVAL
from numpy.typing import NDArray

from exporter.assess.scores import INTERFERENCE
from exporter.config import Config
from exporter.cycle import Cycle, Readings
from exporter.history.signals import COLUMN
from exporter.sources.exposition import parse_chunks
from exporter.sources.families import CADVISOR_WANTED, PROBE_WANTED

ALARM = Config().assess.thresholds.interference_caused


@dataclass(frozen=True)
class Told:
    """What was said in one turn of the exporter, by container."""

    at: float
    blame: dict[str, NDArray[np.float32]]
    """[INTERFERENCE], the worst that each container is said to have caused."""
    cpu: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """One trial, judged."""

    kind: str
    first: bool
    """Whether the culprit ranks first by blame over its time, and its blame passed the threshold."""
    named: str
    """Under which name the culprit was blamed most; empty if it was not."""
    after: float
    """Seconds until the culprit's blame passed the threshold; NaN if it never did."""
    victim_blamed: bool
    accused: tuple[int, int]
    """Turns in which anybody's blame was over the threshold with no culprit at work, and turns in all."""
    peer: bool
    """Whether the culprit's CPU rose most."""
    slowdown: float
    """Mean latency of the victim with the culprit over that before."""


def judge(recording: Path) -> Verdict:
    """Return what is to be said of the trial in ``recording``, through a new exporter's own cycle."""
    head = json.loads(recording.with_suffix(".json").read_text())
    names = head["names"]
    told = _told(recording, set(names.values()))
    culprit, began = names["culprit"], head["began"]
    quiet = [turn for turn in told if turn.at < began]
    disturbed = [turn for turn in told if turn.at >= began] if head["culprit"] else []
    sums = {name: sum(turn.blame[name] for turn in disturbed if name in turn.blame) for name in _names(disturbed)}
    worst = max(sums, key=lambda name: float(np.max(sums[name])), default="")
    moments = _over(disturbed, culprit)
    return Verdict(
        kind=head["kind"],
        first=bool(moments) and worst == culprit,
        named=INTERFERENCE[int(np.argmax(sums[culprit]))] if moments else "",
        after=moments[0] - began if moments else float("nan"),
        victim_blamed=bool(_over(told, names["victim"])),
        accused=(sum(any(b.max() > ALARM for b in turn.blame.values()) for turn in quiet), len(quiet)),
        peer=_largest_change(quiet, disturbed) == culprit,
        slowdown=_slowdown(head["latency"], began),
    )


def _over(told: list[Told], name: str) -> list[float]:
    """Return when the blame of ``name`` was over the threshold."""
    return [turn.at for turn in told if name in turn.blame and turn.blame[name].max() > ALARM]


def _names(told: list[Told]) -> set[str]:
    return {name for turn in told for name in turn.blame}


def _told(recording: Path, ours: set[str]) -> list[Told]:
    cycle, found = Cycle(Config(interval=INTERVAL)), []
    with gzip.open(recording, "rt") as file:
        for line in file:
            said = json.loads(line)
            samples = [
                parse_chunks([said[source].encode()], wanted)
                for source, wanted in (("cadvisor", CADVISOR_WANTED), ("probe", PROBE_WANTED))
            ]
            snapshot, scores = cycle.learn(Readings(*samples), said["at"])
            rows = {who.container: row for row, who in enumerate(snapshot.identities) if who.container in ours}
            blame = {name: np.nan_to_num(scores.caused[row]).max(axis=1) for name, row in rows.items()}
            cpu = {name: float(snapshot.signals[row, COLUMN["cpu"]]) for name, row in rows.items()}
            found.append(Told(said["at"], blame, cpu))
    return found


def _largest_change(before: list[Told], after: list[Told]) -> str:
    """Return whose use of CPU rose most; who was not there before used none."""
    change = {name: _mean(after, name) - _mean(before, name) for name in _names(after)}
    return max(change, key=lambda name: change[name], default="")


def _mean(told: list[Told], name: str) -> float:
    seen = [turn.cpu[name] for turn in told if np.isfinite(turn.cpu.get(name, np.nan))]
    return float(np.mean(seen)) if seen else 0.0


def _slowdown(latency: list[list[float]], began: float) -> float:
    asked = np.array(latency).reshape(-1, 2)
    before, after = asked[asked[:, 0] < began, 1], asked[asked[:, 0] >= began, 1]
    return float(after.mean() / before.mean()) if len(before) and len(after) else float("nan")
