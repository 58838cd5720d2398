"""The command ``replay``: score a recording through the same code as ``run``."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from exporter.assess.scores import INTERFERENCE, Scores
from exporter.config import Config
from exporter.cycle import Cycle, Readings
from exporter.history.identity import Identity
from exporter.sections import ThresholdsConfig
from exporter.sources.files import RecordingError
from exporter.sources.replay import read_recording, steps

HEADER = ["timestamp", "container", "score", "label", "value", "alarm"]
_COLUMNS = 240
_LONGEST_GAP = 86_400
"""Steps in a row without a sample, a day of seconds: more means that a timestamp is wrong."""
_PLAIN = {
    "cpp_cpu_burst_ratio": "cpu_burst",
    "cpp_memory_leak_ratio": "memory_leak",
    "cpp_network_flood_ratio": "network_flood",
    "cpp_anomaly_ratio": "anomaly",
    "cpp_security_risk_ratio": "security_risk",
}


def run_replay(config: Config, recording: Path, output: Path, step: float, learn: float) -> int:
    """Write a row a score a ``step`` (seconds) to ``output``; return the exit code: 2 for bad input."""
    config = _config(config, step, learn)
    cycle, count = Cycle(config), 0
    try:
        with output.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            for now, samples in steps(read_recording(recording, _LONGEST_GAP * step), step):
                snapshot, scores = cycle.learn(Readings(samples, samples), now)
                if snapshot.dropped:
                    raise RecordingError(_too_many(recording, config))
                writer.writerows(_rows(now, snapshot.identities, scores, config.assess.thresholds))
                count += 1
    except (RecordingError, OSError) as error:
        print(f"cpp-exporter replay: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 2
    print(f"{count} steps scored")  # noqa: T201 - the command's answer
    return 0


def _config(config: Config, step: float, learn: float) -> Config:
    """Return ``config`` at the recording's step, with as many columns of past as a live exporter has.

    A step stands for a cycle: alarms are as improbable a step as they are a cycle, and each row tells of its own step.
    """
    coarse = max(step, config.forecast.step)
    given = config.assess.alarms_per_container_month
    alarms = given.model_copy(update={"security_risk": given.security_risk * config.interval / step})
    changed = {
        "interval": step,
        "history": config.history.model_copy(update={"window": _COLUMNS * step, "forecast_window": 2 * coarse}),
        "forecast": config.forecast.model_copy(update={"step": coarse}),
        "assess": config.assess.model_copy(update={"learn": learn, "hold": 0.0, "alarms_per_container_month": alarms}),
    }
    return config.model_copy(update=changed)


def _too_many(recording: Path, config: Config) -> str:
    most = config.history.max_containers
    return f"{recording}: holds over {most} containers; raise history.max_containers in a --config.file"


def _rows(
    now: float, identities: tuple[Identity, ...], scores: Scores, thresholds: ThresholdsConfig
) -> Iterator[tuple[object, ...]]:
    for row, who in enumerate(identities):
        for name, score in _PLAIN.items():
            value = float(getattr(scores, score)[row])
            yield _row(now, who, name, "", value, getattr(thresholds, score))
        for index, resource in enumerate(INTERFERENCE):
            suffered = float(scores.suffered[row, index])
            yield _row(
                now, who, "cpp_interference_suffered_ratio", resource, suffered, thresholds.interference_suffered
            )
            caused = float(np.nan_to_num(scores.caused[row, index]).max())
            yield _row(now, who, "cpp_interference_caused_ratio", resource, caused, thresholds.interference_caused)


def _row(now: float, who: Identity, score: str, label: str, value: float, threshold: float) -> tuple[object, ...]:
    known = 0.0 if np.isnan(value) else value
    return (f"{now:.3f}".rstrip("0").rstrip("."), who.container, score, label, f"{known:.6g}", int(known > threshold))
