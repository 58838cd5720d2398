"""All scores of one cycle."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess import burst, flood, interference
from exporter.assess.anomaly import CYCLE, Anomalies, evidence_rate
from exporter.assess.behaviour import Behaviour
from exporter.assess.causes import causes
from exporter.assess.explain import NEAR, Findings, reasons
from exporter.assess.leaks import Leaks
from exporter.assess.pairs import PairProfiles
from exporter.assess.robust import Numbers
from exporter.assess.scores import Scores
from exporter.assess.security import Security
from exporter.assess.since import Since
from exporter.history.windows import Floats, Window
from exporter.persist.arrays import Arrays, exported, within
from exporter.sections import AssessConfig

MOST_ELAPSED = 4
"""Cycles of learning that one look may count for: after a pause nothing is known of the time between."""


class Assessor:
    """Makes scores from each cycle's window.

    Trends are computed afresh from the window, so that a restart with a filled history scores at once; only what
    outlives the window is remembered: what workloads call, memory over two days, evidence that fades over minutes.
    """

    def __init__(self, config: AssessConfig, interval: float = CYCLE) -> None:
        """Score windows that come each ``interval`` seconds."""
        self._config = config
        alarms = config.alarms_per_container_month
        evidence = evidence_rate(alarms.anomaly, interval)
        self._behaviour = Behaviour(config.learn, evidence)
        self._pairs = PairProfiles(config.learn, evidence)
        self._security = Security(config.learn, alarms.security_risk, config.hold)
        self._anomalies = Anomalies(config.learn, alarms.anomaly)
        self._since = Since()
        self._leaks = Leaks()
        self._last: float | None = None

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        return exported(self._parts())

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved, for windows of the same lives, workloads and calls; raise MismatchError."""
        for name, part in self._parts().items():
            part.restore(within(name, arrays))

    def _parts(self) -> dict[str, Behaviour | PairProfiles | Security | Anomalies | Since | Leaks]:
        return {
            "behaviour": self._behaviour,
            "pairs": self._pairs,
            "security": self._security,
            "anomalies": self._anomalies,
            "since": self._since,
            "leaks": self._leaks,
        }

    def assess(self, window: Window) -> Scores:
        """Return the scores of now; each call also learns from the time since the one before."""
        elapsed = self._elapsed(window)
        conduct = self._behaviour.observe(window, elapsed, self._security.ordinary(window.syscall_names))
        risk = self._security.assess(window, conduct, elapsed)
        anomaly = self._anomalies.assess(window, conduct.departure)
        pairs = self._pairs.observe(window, conduct)
        anomaly = replace(anomaly, score=np.maximum(np.maximum(anomaly.score, conduct.departure), pairs.score))
        high = anomaly.score >= NEAR * self._config.thresholds.anomaly
        findings = Findings(
            burst=burst.find(window),
            leak=self._leaks.find(window),
            flood=flood.find(window),
            interference=interference.find(window),
            anomaly=anomaly,
            anomaly_since=self._since.observe(window.lives, high, window.end),
            departure=conduct.departure,
            calls_off=conduct.off,
            pairs=pairs,
            risk=risk,
            syscall_names=window.syscall_names,
            protocol_names=window.protocol_names,
        )
        return Scores(
            lives=window.lives,
            cpu_burst=_score(findings.burst.score),
            memory_leak=_score(findings.leak.score),
            network_flood=_score(findings.flood.score),
            suffered=_score(findings.interference.suffered),
            caused=_score(findings.interference.caused),
            victims=findings.interference.victims,
            exhaustion_seconds=findings.leak.exhaustion.astype(np.float32),
            anomaly=_score(findings.anomaly.score),
            security_risk=_score(risk.score),
            profile_finished=conduct.finished,
            reasons=reasons(findings, self._config.thresholds),
            causes=causes(findings, self._config.thresholds),
        )

    def _elapsed(self, window: Window) -> float:
        before = window.end - window.step if self._last is None else self._last
        self._last = window.end
        return min(max(window.end - before, 0.0), MOST_ELAPSED * window.step)


def _score(values: Numbers) -> Floats:
    return np.clip(values, 0.0, 1.0).astype(np.float32)
