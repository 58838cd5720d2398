"""What a fresh replica's forecast is worth in its first 30 minutes, on recorded series.

On one node live, for each recorded series, a replica with all its past and, at each arrival, a fresh sibling of the
same workload: the same load with noise and a little later. Beside them lives a container that has had the sibling's
load from the beginning, and at each arrival a stranger with that load and nobody to inherit from. What the sibling
forecast in its first 30 minutes is compared with what those two, and last value, said of the same minutes: the loss
(e + δs) / (b + δs) of one over that of the other, averaged geometrically over series. JSON lines go to stdout, each
series and the share done to stderr. All of crane_dsp takes about ten minutes of a core, half of them to grow trees.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import forecast_score as score
import numpy as np
from forecast_score import Doubles
from forecast_sets import SETS, NoDataError, read, thin
from numpy.typing import NDArray

from exporter.forecast.demand import prepare
from exporter.forecast.engine import Engine
from exporter.forecast.lineage import Lineage
from exporter.forecast.plan import Plan
from exporter.forecast.recordings import Recording, clusters, lay_out
from exporter.forecast.teacher import Teacher
from exporter.history.signals import LEVELS
from exporter.history.windows import Floats, Grid

HORIZONS = (300.0, 900.0, 1800.0)
_FRESH = 1800.0
"""Seconds for which a replica counts as fresh."""
_SPLIT = 0.6
_WARM_UP = 4 * 86400.0
"""Seconds that are fed before the first arrival."""
_PASSES_APART = 0.5
"""Share of what was fed after which trees are grown anew: fewer passes than pay, so that the bench is over soon."""
_WIDTH = 1441
"""Columns that the history hands over: a day of minutes, and the column a day ago."""
_BAR = 1.2
_KINDS = ("sibling", "experienced", "stranger")


@dataclass(frozen=True)
class Load:
    """One recorded series and its sibling on even columns, gaps filled with the last value."""

    name: str
    values: Floats
    """[columns], of the replica with a past"""
    sibling: Floats
    """[columns], of the fresh one"""
    first: int
    """Column of the first sample."""
    arrivals: NDArray[np.int64]
    """[arrivals], columns of the sibling's first samples"""


@dataclass(frozen=True)
class Node:
    """All containers of one run, a row each, in the order of their lives."""

    values: Floats
    """[rows, columns]"""
    workloads: NDArray[np.int64]
    """[rows]"""
    begin: NDArray[np.int64]
    """[rows], column of the first sample"""
    end: NDArray[np.int64]
    """[rows], column after the last"""


def main() -> int:
    """Measure; return 2 where the recordings are absent."""
    asked = _arguments()
    try:
        recordings = thin(read(asked.data, asked.set), asked.series)
    except NoDataError as error:
        print(f"bench_cold_start: {error}", file=sys.stderr)
        return 2
    losses = []
    for group in clusters(_ending_together(recordings)):
        losses += _tried(group, asked)
    _report(asked.set, np.array(losses))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_cold_start", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of recordings")
    parser.add_argument("--set", choices=list(SETS), default="crane_dsp")
    parser.add_argument("--series", type=int, help="at most so many, evenly taken; all by default")
    parser.add_argument("--arrivals", type=int, default=12, help="per series, evenly in its last 40 %%")
    parser.add_argument("--noise", type=float, default=0.05, help="standard deviation of the sibling's, relative")
    parser.add_argument("--shift", type=float, default=600.0, help="seconds that the sibling's load comes later")
    return parser.parse_args()


def _ending_together(recordings: list[Recording]) -> list[Recording]:
    """Return the recordings moved in time to end in one column, so that they live on one node."""
    end = max(int(recording.timestamps[-1]) for recording in recordings)
    return [replace(each, timestamps=each.timestamps + (end - int(each.timestamps[-1]))) for each in recordings]


def _tried(group: list[Recording], asked: argparse.Namespace) -> list[Doubles]:
    """Return for each series the losses [kinds and last value, levels, horizons]."""
    step, loads = group[0].step, _loads(group, asked)
    ahead = [max(round(horizon / step), 1) for horizon in HORIZONS]
    fresh = max(round(_FRESH / step), 1)
    node = _node(loads, fresh)
    said = _fed(node, loads, step)
    found = []
    for number, load in enumerate(loads):
        at = (load.arrivals[:, None] + np.arange(fresh)).ravel()
        actual = load.sibling[at[:, None] + ahead].astype(np.float64)
        forecasts = [said[number, kind] for kind in _KINDS] + [_last_value(load, at, ahead)]
        errors = [[score.mean_error(actual, f[..., i], level) for i, level in enumerate(LEVELS)] for f in forecasts]
        found.append(_compared(load, np.array(errors), ahead))
    return found


def _loads(group: list[Recording], asked: argparse.Namespace) -> list[Load]:
    grid, step = lay_out(group), group[0].step
    random, shift = np.random.default_rng(11), round(asked.shift / step)
    kept = round(_FRESH / step) + max(round(horizon / step) for horizon in HORIZONS)
    loads = []
    for recording, row in zip(group, grid.values[:, 0], strict=True):
        known = np.flatnonzero(~np.isnan(row))
        first, stop = int(known[0]), int(known[-1]) + 1
        newest = known[np.maximum(np.searchsorted(known, np.arange(len(row)), side="right") - 1, 0)]
        values = row[newest]
        later = values[np.maximum(np.arange(len(row)) - shift, 0)]
        sibling = (later * (1 + asked.noise * random.normal(size=len(row)))).astype(np.float32)
        arrivals = np.linspace(first + _SPLIT * (stop - first), stop - kept - 1, asked.arrivals).astype(np.int64)
        loads.append(Load(recording.name, values, sibling, first, arrivals))
    return loads


def _node(loads: list[Load], fresh: int) -> Node:
    """Return the rows: all replicas, all experienced ones, then at each arrival a sibling and a stranger."""
    rows = [(load.values, number, load.first, len(load.values)) for number, load in enumerate(loads)]
    rows += [(load.sibling, len(rows) + n, load.first, len(load.values)) for n, load in enumerate(loads)]
    strange = len(rows)
    for number, load in enumerate(loads):
        for arrival in load.arrivals:
            rows.append((load.sibling, number, int(arrival), int(arrival) + fresh))
            rows.append((load.sibling, strange, int(arrival), int(arrival) + fresh))
            strange += 1
    values, workloads, begin, end = zip(*rows, strict=True)
    return Node(np.stack(values), np.array(workloads), np.array(begin), np.array(end))


def _fed(node: Node, loads: list[Load], step: float) -> dict[tuple[int, str], Doubles]:
    """Return by load and kind the forecasts [arrivals × fresh columns, horizons, levels]."""
    engine = Engine(Plan.of(HORIZONS, LEVELS, 1, step))
    lineage, teacher = Lineage(engine), Teacher(engine, _PASSES_APART)
    first = min(int(load.arrivals[0]) for load in loads)
    last = max(int(load.arrivals[-1]) for load in loads) + round(_FRESH / step)
    said: dict[tuple[int, str], list[Floats]] = {(n, kind): [] for n in range(len(loads)) for kind in _KINDS}
    begin = max(first - round(_WARM_UP / step), 0)
    for column in range(begin, last):
        lives = np.flatnonzero((node.begin <= column) & (column < node.end))
        lineage.follow(lives, node.workloads[lives])
        demand = lineage.fill_in(prepare(_grid(node, lives, column, step)), column)
        quantiles = engine.step(demand, _WIDTH - 1, column).quantiles
        teacher.turn(column - begin, demand)
        for number, row, kind in _newcomers(node, loads, lives):
            said[number, kind].append(quantiles[row])
        _progress(column + 1 - begin, last - begin)
    teacher.close()
    return {key: np.array(forecasts, np.float64) for key, forecasts in said.items()}


def _progress(done: int, of: int) -> None:
    if done * 20 // of > (done - 1) * 20 // of:
        print(f"  {done / of:.0%} of {of} columns", file=sys.stderr, flush=True)


def _grid(node: Node, lives: NDArray[np.int64], column: int, step: float) -> Grid:
    start = max(column + 1 - _WIDTH, 0)
    values = np.full((len(lives), 1, _WIDTH), np.nan, np.float32)
    known = np.arange(start, column + 1) >= node.begin[lives, None]
    values[:, 0, _WIDTH - known.shape[1] :] = np.where(known, node.values[lives, start : column + 1], np.nan)
    censored = np.zeros(values.shape, np.bool_)
    return Grid(step, column * step, lives, node.workloads[lives], values, values, censored)


def _newcomers(node: Node, loads: list[Load], lives: NDArray[np.int64]) -> Iterator[tuple[int, int, str]]:
    """Yield load, row and kind of each sibling and stranger that lives now, and of the experienced one beside them."""
    series = len(loads)
    for row, life in enumerate(lives):
        if life >= 2 * series:
            number, place = divmod(int(life) - 2 * series, 2 * len(loads[0].arrivals))
            yield number, row, "stranger" if place % 2 else "sibling"
            if place % 2 == 0:
                yield number, int(np.flatnonzero(lives == series + number)[0]), "experienced"


def _last_value(load: Load, at: NDArray[np.int64], ahead: list[int]) -> Doubles:
    return np.broadcast_to(load.sibling[at, None, None].astype(np.float64), (len(at), len(ahead), len(LEVELS)))


def _compared(load: Load, errors: Doubles, ahead: list[int]) -> Doubles:
    """Return the losses [kinds and last value, levels, horizons] for ``errors`` of the same shape."""
    split = load.first + int(_SPLIT * (len(load.sibling) - load.first))
    past = load.sibling[load.first : split].astype(np.float64)
    scale = np.array([np.abs(past[h:] - past[:-h]).mean() for h in ahead])
    losses = np.array([score.loss(each, errors[-1], scale) for each in errors])
    ratio = losses[0, 0] / losses[1, 0]
    cells = "  ".join(f"{kind} {' '.join(f'{x:.3f}' for x in losses[k, 0])}" for k, kind in enumerate(_KINDS))
    print(f"  {load.name:40} {' '.join(f'{x:.3f}' for x in ratio)}  {cells}", file=sys.stderr, flush=True)
    return losses


def _report(name: str, losses: Doubles) -> None:
    """Print the fresh replica's loss over the experienced one's, and over those of its peers."""
    for i, level in enumerate(LEVELS):
        over = {k: score.geometric_mean(losses[:, 0, i] / losses[:, k, i]) for k in range(1, losses.shape[1])}
        for k, peer in enumerate((*_KINDS[1:], "last_value"), start=1):
            for horizon, value in zip(HORIZONS, over[k], strict=True):
                _print(f"{name}_loss_{level:g}_{horizon / 60:g}m_over_{peer}", float(value), peer)
            mean = float(np.exp(np.log(over[k]).mean()))
            _print(f"{name}_loss_{level:g}_over_{peer}", mean, peer)
    worst = (losses[:, 0, 0] / losses[:, 1, 0]).mean(axis=1)
    _print(f"{name}_worst_series_over_experienced", float(np.nanmax(worst)), "experienced")


def _print(metric: str, value: float, peer: str) -> None:
    bar = _BAR if peer == "experienced" else 1.0
    line = {"bench": "cold_start", "metric": metric, "value": round(value, 4)}
    line |= {"peer": "bar" if peer == "experienced" else peer, "peer_value": bar, "ratio": round(value / bar, 4)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
