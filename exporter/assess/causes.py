"""The strongest causes of high scores by a word each, so that an alert can name them."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from exporter.assess.anomaly import FLOORS
from exporter.assess.customs import KINDS
from exporter.assess.explain import CLEARLY, NEAR, Findings
from exporter.assess.scores import Cause
from exporter.sections import ThresholdsConfig

MOST: Final = 3
"""Causes of one score and container."""
LEAST = 0.05


def causes(findings: Findings, thresholds: ThresholdsConfig) -> tuple[tuple[Cause, ...], ...]:
    """Return for each container the causes of a high risk and of a high anomaly, the strongest first."""
    found: list[tuple[Cause, ...]] = [() for _ in findings.risk.score]
    for row in np.flatnonzero(findings.risk.score >= NEAR * thresholds.security_risk).tolist():
        found[row] = _strongest("security_risk", _of_risk(findings, row))
    for row in np.flatnonzero(findings.anomaly.score >= NEAR * thresholds.anomaly).tolist():
        found[row] += _strongest("anomaly", _of_anomaly(findings, row))
    return tuple(found)


def _strongest(score: str, named: Iterator[tuple[str, float]]) -> tuple[Cause, ...]:
    ranked = sorted(((strength, name) for name, strength in named if strength > LEAST), key=lambda each: -each[0])
    return tuple(Cause(score, name, strength) for strength, name in ranked[:MOST])


def _of_risk(findings: Findings, row: int) -> Iterator[tuple[str, float]]:
    risk = findings.risk
    yield from zip(findings.syscall_names, risk.calls[row].tolist(), strict=True)
    yield from zip(KINDS, risk.excess[row].tolist(), strict=True)
    for protocol, part in zip(findings.protocol_names, risk.destinations[row].tolist(), strict=True):
        yield f"connections: {protocol}", part


def _of_anomaly(findings: Findings, row: int) -> Iterator[tuple[str, float]]:
    for first, second in findings.pairs.named(row, findings.syscall_names)[:MOST]:
        yield f"pair: {first}, {second}", float(findings.pairs.strength[row])
    off = np.abs(findings.calls_off[row])
    yield from zip(findings.syscall_names, (off / (off + CLEARLY)).tolist(), strict=True)
    if findings.departure[row] < findings.anomaly.score[row]:
        yield from zip(FLOORS, findings.anomaly.strength[row].tolist(), strict=False)
