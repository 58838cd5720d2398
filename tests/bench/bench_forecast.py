"""The forecast against what else could be used, on recorded series: ours and each peer from the same origins.

The loss of a series is (e + δs) / (b + δs): e a mean error, b that of last value, s the mean absolute change over
the horizon in the first 60 %. Series are averaged geometrically. A peer is compared with ours on the origins that it
answered. The best peer of a cell is the one that ours does worst against; a library whose time ran out before half of
its origins is shown, but does not count. Results are kept in build/bench/, so that a run may be made in parts: what is
missing is added. JSON lines go to stdout; all peers of each cell to stderr.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import forecast_score as score
import numpy as np
from forecast_library import LIBRARIES, Answer, ask, enough
from forecast_ours import Case, cases, step_cost
from forecast_rules import RULES, Doubles, by_rule
from forecast_sets import SETS, NoDataError, read, thin

from exporter.history.signals import LEVELS

_COMPARED = ("crane_dsp", "bitbrains_rnd")
_PEERS = (*RULES, "vpa", *LIBRARIES)
_HORIZONS = ("5m", "15m", "30m")
_MEASURES = ("mae", "pinball_90", "pinball_99")
_CACHE = Path(__file__).parents[2] / "build" / "bench" / "forecast"
_WORSE = 1.1
_CPU_BAR = 0.5
_SERIES = 3000


@dataclass(frozen=True)
class Compared:
    """Ours and one peer on the same origins."""

    ours: Doubles
    """[measures, horizons]"""
    theirs: Doubles
    """[measures, horizons]"""
    series: int
    origins: int


def main() -> int:
    """Measure each set; return 2 where the recordings are absent."""
    asked = _arguments()
    _CACHE.mkdir(parents=True, exist_ok=True)
    try:
        sets = {name: thin(read(asked.data, name), asked.series) for name in asked.sets}
    except NoDataError as error:
        print(f"bench_forecast: {error}", file=sys.stderr)
        return 2
    fits: list[Answer] = []
    past: list[Doubles] = []
    for name, recordings in sets.items():
        found = cases(recordings, asked.origins, _CACHE)
        _say(f"{name}: {len(found)} series of {len(recordings)}, {sum(len(case.origins) for case in found)} origins")
        past = past or [case.values for case in found]
        if name in _COMPARED:
            fits += _compare(name, found, asked)
            _calibration(name, found)
        else:
            _no_worse(name, found)
    _cost(past, fits)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_forecast", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of recordings")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--peers", nargs="*", choices=_PEERS, default=list(_PEERS))
    parser.add_argument("--series", type=int, help="at most so many of a set, evenly taken; all by default")
    parser.add_argument("--origins", type=int, default=100, help="per series")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds that a library may add to a set's results")
    return parser.parse_args()


def _compare(name: str, found: list[Case], asked: argparse.Namespace) -> list[Answer]:
    """Print ours against the best peer in each cell; return what AutoETS said, for its cost."""
    compared, fits = {}, []
    for peer in asked.peers:
        answers = ask(peer, found, asked.budget, _CACHE) if peer in LIBRARIES else _by_rule(peer, found)
        if answers:
            against = _against(found, answers)
            counts = peer not in LIBRARIES or enough(peer, found, answers)
            _say_peer(peer if counts else f"({peer})", against)
            if counts:
                compared[peer] = against
        if peer == "AutoETS":
            fits = list(answers.values())
    if compared:
        for m, measure in enumerate(_MEASURES):
            for h, horizon in enumerate(_HORIZONS):
                _cell(f"{name}_{measure}_{horizon}", {p: (c.ours[m, h], c.theirs[m, h]) for p, c in compared.items()})
            means = {p: (float(c.ours[m].mean()), float(c.theirs[m].mean())) for p, c in compared.items()}
            _cell(f"{name}_{measure}_mean", means)
    return fits


def _by_rule(peer: str, found: list[Case]) -> dict[int, Answer]:
    return {
        number: Answer(
            np.arange(len(case.origins)),
            by_rule(peer, case.values, case.origins, case.ahead, LEVELS, case.step),
            float("nan"),
        )
        for number, case in enumerate(found)
    }


def _against(found: list[Case], answers: Mapping[int, Answer]) -> Compared:
    losses = np.array([_losses(found[number], answer) for number, answer in answers.items()])
    moving = int(np.isfinite(losses).all(axis=(1, 2, 3)).sum())
    ours, theirs = score.geometric_mean(losses[:, 0]), score.geometric_mean(losses[:, 1])
    return Compared(ours, theirs, moving, sum(len(answer.places) for answer in answers.values()))


def _losses(case: Case, answer: Answer) -> Doubles:
    """Return [ours and theirs, measures, horizons]."""
    actual, origins = case.actual[answer.places], case.origins[answer.places]
    naive = by_rule("last_value", case.values, origins, case.ahead, LEVELS, case.step)
    said = (case.ours[answer.places], answer.forecast, naive)
    errors = np.array([[score.mean_error(actual, f[..., i], level) for i, level in enumerate(LEVELS)] for f in said])
    return np.array([score.loss(errors[0], errors[2], case.scale), score.loss(errors[1], errors[2], case.scale)])


def _cell(metric: str, pairs: Mapping[str, tuple[float, float]]) -> None:
    best = max(pairs, key=lambda peer: pairs[peer][0] / pairs[peer][1])
    _print(metric, pairs[best][0], best, pairs[best][1])


def _calibration(name: str, found: list[Case]) -> None:
    actual = [case.actual for case in found]
    for i, level in enumerate(LEVELS[1:], start=1):
        shares = score.share_under(actual, [case.ours[..., i] for case in found])
        weights = [case.actual.size for case in found]
        _print(f"{name}_share_under_{level:g}", float(np.average(shares, weights=weights)), "nominal", level)
        if i == 1:
            inside = (shares >= 0.85) & (shares <= 0.97)
            _print(f"{name}_series_with_share_under_{level:g}_in_.85_to_.97", float(inside.mean()), "bar", 0.9)


def _no_worse(name: str, found: list[Case]) -> None:
    """Print how many series are forecast more than 10 % worse than by last value, at any horizon."""
    naive = _by_rule("last_value", found)
    losses = np.array([_losses(found[number], answer)[0, 0] for number, answer in naive.items()])
    worst = np.nanmax(np.where(np.isfinite(losses), losses, 0.0), axis=1)
    for case, loss, each in zip(found, worst, losses, strict=True):
        if loss > _WORSE:
            _say(f"  worse than last value: {case.name}  {' '.join(f'{value:.3f}' for value in each)}")
    _print(f"{name}_series_over_10_percent_worse", float((worst > _WORSE).sum()), "last_value", None)
    _print(f"{name}_worst_series_mae", float(worst.max()), "last_value", 1.0)
    for h, horizon in enumerate(_HORIZONS):
        _print(f"{name}_mae_{horizon}", float(score.geometric_mean(losses)[h]), "last_value", 1.0)


def _cost(past: list[Doubles], fits: list[Answer]) -> None:
    step = step_cost(past)
    _print("cpu_seconds_per_step_of_3000_series", step, "bar", _CPU_BAR)
    fitted = sum(len(answer.places) for answer in fits)
    theirs = sum(answer.cpu_seconds for answer in fits) / fitted if fitted else None
    _print("cpu_microseconds_per_series", step / _SERIES * 1e6, "AutoETS", None if theirs is None else theirs * 1e6)


def _say_peer(peer: str, compared: Compared) -> None:
    cells = "  ".join(
        measure + " " + " ".join(f"{o / t:.3f}" for o, t in zip(ours, theirs, strict=True))
        for measure, ours, theirs in zip(_MEASURES, compared.ours, compared.theirs, strict=True)
    )
    _say(f"  ours / {peer:16} {compared.series:4} series {compared.origins:6} origins  {cells}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(metric: str, value: float, peer: str, peer_value: float | None) -> None:
    line: dict[str, object] = {"bench": "forecast", "metric": metric, "value": round(value, 4), "peer": peer}
    line |= {"peer_value": None, "ratio": None}
    if peer_value is not None:
        line |= {"peer_value": round(peer_value, 4), "ratio": round(value / peer_value, 4)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
