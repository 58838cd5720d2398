"""Sentences for high scores, so that alerts and profiles explain themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from exporter.assess.anomaly import FLOORS, Anomaly
from exporter.assess.burst import Burst
from exporter.assess.flood import Flood
from exporter.assess.interference import Interference
from exporter.assess.leak import Leak
from exporter.assess.pairs import NewPairs
from exporter.assess.robust import Numbers
from exporter.assess.scores import INTERFERENCE
from exporter.assess.security import Risk
from exporter.sections import ThresholdsConfig

NEAR = 0.75
"""Part of its threshold from which a score is explained."""
MOST_REASONS = 5
CLEARLY = 3.0
"""Deviations of one call that are worth a word."""
MOST_NAMES, LEAST_PART = 4, 0.01
_EXCESSES = (
    "computes {:.0f} times as much as ever, in all and for each call",
    "rewrites {:.0f} times as many files as ever, in all and for each call",
)
"""In the order of KINDS."""
_DOES = {
    "cpu": ("cpu", "uses {:.2f} cores"),
    "memory": ("memory", "takes memory and holds {}"),
    "disk_io": ("disk_io", "moves {} a second to or from disk"),
    "network_io": ("network_packets", "sends and receives {:.0f} packets a second"),
    "threads": ("thread_creations", "makes {:.0f} threads or processes a second"),
    "memory_bandwidth": ("memory", "works through {} of memory"),
}
"""What a culprit does, by the name of the trouble, and the signal that tells how much."""


@dataclass(frozen=True)
class Findings:
    """All that the scores were made of."""

    burst: Burst
    leak: Leak
    flood: Flood
    interference: Interference
    anomaly: Anomaly
    anomaly_since: Numbers
    """[containers], epoch seconds."""
    departure: Numbers
    """[containers], how improbable the counts of calls are, 0–1."""
    calls_off: Numbers
    """[containers, calls], deviations from what is usual, signed."""
    pairs: NewPairs
    """Pairs of calls that their profiles have not."""
    risk: Risk
    syscall_names: tuple[str, ...]
    protocol_names: tuple[str, ...]


def reasons(findings: Findings, thresholds: ThresholdsConfig) -> tuple[tuple[str, ...], ...]:
    """Return for each container why its high scores are high, strongest first."""
    found: list[list[tuple[float, str]]] = [[] for _ in findings.risk.score]
    for row in _high(findings.risk.score, thresholds.security_risk):
        found[row].append((findings.risk.score[row], _risk(findings, row)))
    for row in _high(findings.leak.score, thresholds.memory_leak):
        found[row].append((findings.leak.score[row], _leak(findings.leak, row)))
    for row in _high(findings.interference.caused.max(axis=(1, 2), initial=0), thresholds.interference_caused):
        found[row].append(_caused(findings.interference, row))
    for row in _high(findings.interference.suffered.max(axis=1, initial=0), thresholds.interference_suffered):
        found[row].append(_suffered(findings.interference, row))
    for row in _high(findings.flood.score, thresholds.network_flood):
        found[row].append((findings.flood.score[row], _flood(findings.flood, row)))
    for row in _high(findings.burst.score, thresholds.cpu_burst):
        found[row].append((findings.burst.score[row], _burst(findings.burst, row)))
    for row in _high(findings.anomaly.score, thresholds.anomaly):
        told = f"{_unlike(findings, row)}, since {clock(findings.anomaly_since[row])}"
        found[row].append((findings.anomaly.score[row], told))
    return tuple(tuple(text for _, text in sorted(each, key=lambda r: -r[0])[:MOST_REASONS]) for each in found)


def _high(score: Numbers, threshold: float) -> list[int]:
    return [int(row) for row in np.flatnonzero(score >= NEAR * threshold)]


def _risk(findings: Findings, row: int) -> str:
    risk = findings.risk
    told = [(risk.excess[row, kind], text.format(risk.times[row, kind])) for kind, text in enumerate(_EXCESSES)]
    for what, names, parts in (
        ("calls {}", findings.syscall_names, risk.calls[row]),
        ("connects to {}", findings.protocol_names, risk.destinations[row]),
    ):
        worst = [int(part) for part in np.argsort(-parts, kind="stable")[:MOST_NAMES] if parts[part] > LEAST_PART]
        if worst:
            text = what.format(", ".join(names[part] for part in worst))
            told.append((parts[worst[0]], f"{text}, never seen in {duration(risk.watched[row])} of its profile"))
    told.sort(key=lambda each: -each[0])
    return f"{'; '.join(text for part, text in told if part > LEAST_PART)}; since {clock(risk.since[row])}"


def _leak(leak: Leak, row: int) -> str:
    since = datetime.fromtimestamp(float(leak.since[row]), tz=UTC)
    text = f"memory grows {size(leak.rate[row])}/s since {since:%H:%M} UTC"
    left = leak.exhaustion[row]
    return f"{text}, {left:.0f} s to its limit" if np.isfinite(left) else text


def _caused(found: Interference, row: int) -> tuple[float, str]:
    kind = int(found.caused[row, :, 0].argmax())
    signal, does = _DOES[INTERFERENCE[kind]]
    used = float(found.use[signal][row])
    told = does.format(size(used) if "{}" in does else used)
    waits = found.waiting[found.victims[row, kind, 0], kind]
    return float(found.caused[row, kind, 0]), f"{told} while a neighbour waits {waits:.0%} of the time"


def _suffered(found: Interference, row: int) -> tuple[float, str]:
    kind = int(found.suffered[row].argmax())
    resource = INTERFERENCE[kind].replace("_", " ").replace("io", "I/O")
    waits = found.waiting[row, kind]
    return float(found.suffered[row, kind]), f"waits {waits:.0%} of the time because of others' {resource}"


def _flood(flood: Flood, row: int) -> str:
    direction = "sends" if flood.outward[row] >= 0.5 else "receives"
    return f"{direction} {flood.contrast[row]:.0f} times its usual traffic"


def _burst(burst: Burst, row: int) -> str:
    return f"bursts to {burst.peak[row]:.2f} cores from {burst.usual[row]:.2f}"


def _unlike(findings: Findings, row: int) -> str:
    """Tell what the anomaly rests on, and the pairs of calls that are new beside it."""
    score = findings.anomaly.score[row]
    by_calls = findings.departure[row] >= score
    told = [_calls(findings, row) if by_calls else _anomaly(findings.anomaly, row)]
    named = findings.pairs.named(row, findings.syscall_names)
    if named:
        many = f"{len(named)} pairs of calls" if len(named) > 1 else "a pair of calls"
        worst = ", ".join(f"{first} then {second}" for first, second in named[:MOST_NAMES])
        told.append(f"{many} never seen in {duration(findings.pairs.watched[row])} of its profile ({worst})")
    if findings.pairs.score[row] >= score and named:
        del told[0]
    return "; ".join(told)


def _anomaly(anomaly: Anomaly, row: int) -> str:
    worst = [int(signal) for signal in np.argsort(-anomaly.strength[row], kind="stable")[:3]]
    names = [*FLOORS, "mix of calls"]
    told = [names[signal].replace("_", " ") for signal in worst if anomaly.strength[row, signal] > 0.2]
    return f"unlike its past in {', '.join(told)}"


def _calls(findings: Findings, row: int) -> str:
    off = findings.calls_off[row]
    worst = [int(call) for call in np.argsort(-np.abs(off), kind="stable")[:3] if abs(off[call]) >= CLEARLY]
    told = [f"{findings.syscall_names[call]} ({off[call]:+.0f} deviations)" for call in worst]
    return f"an unusual number of calls of {', '.join(told)}" if told else "calls made together as never before"


def clock(at: float) -> str:
    """Return epoch seconds as a time of day."""
    return f"{datetime.fromtimestamp(float(at), tz=UTC):%H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return a time as a person tells it, for example 2.5 h."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def size(amount: float) -> str:
    """Return bytes as a person reads them, for example 2.1 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if abs(amount) < 1024:
            return f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
