"""A training pass over 3,000 series by the real child, against pmdarima's search on every series.

The series are autoregressions, walks, rhythms and bursts with 400 columns each, as a node of 500 containers has them.
Orders are known for all but the 200 that are searched; trees are grown from full reservoirs of samples, and the
network trained from scratch, as in a first pass. The peer is asked for a sample in a process of its own, and its time
taken times the number of series.
"""

import io
import json
import resource
import subprocess
import sys
import time

import numpy as np

from exporter.forecast import arima, work
from exporter.forecast.exchange import Arrays
from exporter.forecast.features import FEATURES
from exporter.forecast.samples import CAPACITY, Known
from exporter.forecast.trainer import Answer, Trainer
from exporter.history.signals import LEVELS
from exporter.persist.arrays import under

SERIES = 3000
COLUMNS = 400
SEARCHES = 200
SAMPLE = 12
_KNOWN = ((1, 0, 0), (2, 0, 1), (1, 1, 1), (0, 1, 1), (2, 1, 2), (5, 0, 0), (1, 0, 3))
_AHEAD, _SEQUENCES = (5, 15, 30), 256
_MOST_CPU_SECONDS = 600.0
_MOST_MIB = 600.0
_LONGEST = 1800.0
_PEER = """
import io, resource, sys, time
import numpy as np
import pmdarima, warnings
warnings.simplefilter("ignore")
series = np.load(io.BytesIO(sys.stdin.buffer.read()))
began = time.process_time()
for values in series:
    pmdarima.auto_arima(values, seasonal=False, error_action="ignore", suppress_warnings=True)
print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    """Print what a pass costs; exit with 1 where it costs more than it may."""
    series = node()
    answer = ours(series)
    mebibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    peer_cpu, peer_mebibytes = peer(series)
    rows, _ = work.models(answer.arrays, len(series))
    report("cpu_seconds", answer.cpu_seconds, peer_cpu)
    report("peak_mebibytes", mebibytes, peer_mebibytes)
    report("searched_series", float(len(answer.arrays["searched"])), float(SERIES))
    report("fitted_series", float(len(rows)), float(SERIES))
    parts = {name.split("/")[0] for name in answer.arrays}
    good = {"network", *(f"forest{i}" for i in range(len(_AHEAD)))} <= parts
    good = good and answer.cpu_seconds <= _MOST_CPU_SECONDS and mebibytes <= _MOST_MIB
    good = good and len(answer.arrays["searched"]) == SEARCHES
    sys.exit(0 if good else 1)


def node() -> arima.Doubles:
    """Return [SERIES, COLUMNS] of four kinds in turn."""
    random = np.random.default_rng(7)
    shocks = random.normal(size=(SERIES, COLUMNS))
    values = shocks.copy()
    for column in range(2, COLUMNS):
        values[:, column] += 0.6 * values[:, column - 1] + 0.2 * values[:, column - 2]
    values[1::4] = np.cumsum(shocks[1::4], axis=1)
    period = random.uniform(12, 200, size=(SERIES, 1))
    values[2::4] += 4 * np.sin(2 * np.pi * np.arange(COLUMNS) / period)[2::4]
    values[3::4] = random.pareto(2.5, size=values[3::4].shape)
    return np.asarray(100 + 10 * values)


def ours(series: arima.Doubles) -> Answer:
    """Return the child's answer; raise RuntimeError where it has none."""
    order = np.array([_KNOWN[row % len(_KNOWN)] for row in range(SERIES)])
    order[:SEARCHES] = -1
    trainer = Trainer(_LONGEST, time.monotonic)
    asked = {"series": series.astype(np.float32), "order": order, "searches": np.array(SEARCHES)}
    asked |= trees() | network(series)
    trainer.start(asked | {"cpu_seconds": np.array(_MOST_CPU_SECONDS)})
    answer = trainer.wait()
    if not isinstance(answer, Answer):
        raise RuntimeError(f"the pass failed: {answer}")
    return answer


def trees() -> Arrays:
    """Return what a child is asked for forests of all horizons: as many samples as are ever kept."""
    random = np.random.default_rng(8)
    asked: Arrays = {"levels": np.array(LEVELS)}
    for i in range(len(_AHEAD)):
        inputs = np.clip(random.normal(scale=30.0, size=(CAPACITY, FEATURES)), -127, 127).astype(np.int8)
        targets = 0.02 * inputs[:, :8].sum(axis=1) + random.standard_t(3, CAPACITY)
        known = Known(inputs, targets.astype(np.float32), np.ones(CAPACITY, np.float32))
        asked |= under(f"samples{i}", vars(known))
    return asked


def network(series: arima.Doubles) -> Arrays:
    """Return what a child is asked for a network that is trained on some of ``series``."""
    values = series[:_SEQUENCES].astype(np.float32)
    units = np.stack([np.abs(values[:, ahead:] - values[:, :-ahead]).mean(axis=1) for ahead in _AHEAD], axis=1)
    first = np.zeros(len(values), np.int64)
    told = {"values": values, "first": first, "units": units, "ahead": np.array(_AHEAD), "seed": np.array(1)}
    return under("sequences", told)


def peer(series: arima.Doubles) -> tuple[float, float]:
    """Return the CPU seconds that searches for all series would take, and the peak memory of those for the sample."""
    sample = series[np.linspace(0, SERIES - 1, SAMPLE).astype(int)]
    stream = io.BytesIO()
    np.save(stream, sample)
    command = [sys.executable, "-c", _PEER]
    done = subprocess.run(command, input=stream.getvalue(), stdout=subprocess.PIPE, check=True)
    seconds, mebibytes = (float(word) for word in done.stdout.split())
    return seconds * SERIES / SAMPLE, mebibytes


def report(metric: str, value: float, peer_value: float) -> None:
    """Print one line."""
    line = {"bench": "training", "metric": metric, "value": round(value, 1), "peer": "pmdarima.auto_arima"}
    print(json.dumps(line | {"peer_value": round(peer_value, 1), "ratio": round(value / peer_value, 4)}), flush=True)


if __name__ == "__main__":
    main()
