"""``cpp-exporter backtest``: how good would the forecast be, or have been, on these series?"""

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from exporter.backtest.page import page
from exporter.backtest.report import table, write_forecasts
from exporter.backtest.scores import score
from exporter.backtest.source import PrometheusQuery, load, name_of
from exporter.backtest.terminal import Progress, plain
from exporter.forecast import trial
from exporter.forecast.recordings import Recording, clusters
from exporter.history.signals import LEVELS
from exporter.sources.files import RecordingError

_INTERRUPTED = 130


@dataclass(frozen=True)
class Request:
    """The command line."""

    source: Path | PrometheusQuery
    output: Path
    horizons: tuple[float, ...] = (300.0, 900.0, 1800.0)
    """Seconds."""
    quantiles: tuple[float, ...] = LEVELS
    origins: int = 30
    test_from: float = 0.6
    plot: Path | None = None
    """Where to draw the forecasts, as HTML; None for nowhere."""


def run_backtest(request: Request) -> int:
    """Write the forecasts to ``request.output``, print a table, and return the exit code: 2 for bad input."""
    began, cpu = time.monotonic(), time.process_time()
    try:
        _check(request)
        _answer(request)
    except RecordingError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        print("cpp-exporter backtest: interrupted", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED
    _print_cost(time.monotonic() - began, time.process_time() - cpu)
    return 0


def _refuse(message: str) -> int:
    print(f"cpp-exporter backtest: {plain(message, 1000)}", file=sys.stderr)  # noqa: T201 - the command's answer
    return 2


def _check(request: Request) -> None:
    if not request.horizons or min(request.horizons) <= 0:
        raise RecordingError("--horizons: give durations above zero, such as 5m,15m,30m")
    if not request.quantiles or not all(0 < level < 1 for level in request.quantiles):
        raise RecordingError("--quantiles: give numbers between 0 and 1, such as 0.5,0.9,0.99")
    if request.origins < 1:
        raise RecordingError("--origins: give at least 1")
    if not 0 < request.test_from < 1:
        raise RecordingError("--test-from: give a share between 0 and 1, such as 0.6")
    _check_files(request)


def _check_files(request: Request) -> None:
    """Refuse what could not be written, or would overwrite something, before minutes of work."""
    files = {"--input": request.source, "--output": request.output, "--plot": request.plot}
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if not isinstance(path, Path):
            continue
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise RecordingError(f"{option}: {path} is the file of {other} too; name another")
        if option != "--input" and not path.parent.is_dir():
            raise RecordingError(f"{option}: {path.parent} is no directory")
    if request.plot is not None and request.plot.suffix not in {".html", ".htm"}:
        raise RecordingError(f"--plot: {request.plot} is drawn as HTML; end its name in .html")


def _answer(request: Request) -> None:
    levels = tuple(sorted({*request.quantiles, *LEVELS}))
    design = trial.Design(request.horizons, levels, request.origins, request.test_from)
    recordings = load(request.source, design)
    results = _results(recordings, design)
    with request.output.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        wanted = {level: levels.index(level) for level in request.quantiles}
        write_forecasts(stream, results, request.horizons, wanted)
    scores = score(results, design)
    print(table(results, scores, design))  # noqa: T201 - the command's answer
    if request.plot is not None:
        drawn = page(name_of(request.source), recordings, results, scores, design)
        request.plot.write_text(drawn, encoding="utf-8", errors="xmlcharrefreplace")
        print(f"plot: {request.plot}")  # noqa: T201


def _results(recordings: list[Recording], design: trial.Design) -> list[trial.Result]:
    groups = clusters(recordings)
    results: list[trial.Result] = []
    for number, group in enumerate(groups, start=1):
        results += trial.run(group, design, Progress(f"part {number} of {len(groups)}, {len(group)} series"))
    names = {recording.name: place for place, recording in enumerate(recordings)}
    return sorted(results, key=lambda result: names[result.name])


def _print_cost(seconds: float, cpu: float) -> None:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(  # noqa: T201
        f"{seconds:.1f} s ({cpu:.1f} s CPU here), peak memory {own:.0f} MiB, of the training child {child:.0f} MiB"
    )
