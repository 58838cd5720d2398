"""The command line of cpp-exporter."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from exporter import logs
from exporter.addresses import listen_address
from exporter.durations import parse_duration

_SHORTEST = 0.001
_BACKTEST_EXAMPLES = """examples:
  cpp-exporter backtest --input usage.csv.gz --output forecasts.csv --plot forecasts.html
  cpp-exporter backtest --prometheus.url http://127.0.0.1:9090 --span 2w \\
    --query 'sum by (container) (rate(container_cpu_usage_seconds_total{name!=""}[5m]))' \\
    --origins 200 --output forecasts.csv --plot forecasts.html

A login goes into the URL (http://USER:PASSWORD@HOST:PORT) or ~/.netrc; REQUESTS_CA_BUNDLE names a private authority's
certificate. Exit code 2 is bad input, said in one line."""


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, as the commands themselves do."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; ``command`` is the name of the chosen command."""
    top = _Parser(
        prog="cpp-exporter", description="Learns a Container Personality Profile of each container and publishes it."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    run = _command(commands, "run", "learn, forecast and serve")
    run.add_argument(
        "--web.listen-address",
        dest="listen",
        default="127.0.0.1:17900",
        type=_reading(listen_address),
        metavar="HOST:PORT",
        help="where to serve /metrics and /profiles, :PORT for all addresses (default %(default)s)",
    )
    check = _command(commands, "check-config", "say whether the configuration is good, without starting")
    replay = _command(commands, "replay", "score a recording as run would have")
    _add_replay(replay)
    _add_backtest(_command(commands, "backtest", "forecast a recording and measure the error"))
    for command in (run, check, replay):
        command.add_argument("--config.file", dest="config", type=Path, metavar="FILE", help="YAML; all keys optional")
    return top


def _command(commands: "argparse._SubParsersAction[_Parser]", name: str, purpose: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=purpose, description=purpose)
    command.add_argument(
        "--log.level", dest="log_level", default="info", choices=logs.LEVELS, help="what to log (default %(default)s)"
    )
    command.add_argument(
        "--log.format",
        dest="log_format",
        default="logfmt",
        choices=logs.FORMATS,
        help="how to log (default %(default)s)",
    )
    return command


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--input", required=True, type=Path, metavar="F", help="CSV: timestamp,container,metric,label,value"
    )
    command.add_argument("--output", required=True, type=Path, metavar="O", help="CSV with a row a score a step")
    command.add_argument("--step", default=1.0, type=_reading(_duration), help="time between two scores (default 1s)")
    command.add_argument(
        "--learn", default=180.0, type=_reading(_duration), help="how long behaviour is learned (default 3m)"
    )


def _add_backtest(command: argparse.ArgumentParser) -> None:
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = _BACKTEST_EXAMPLES
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", type=Path, metavar="F", help="CSV, plain, .gz or .xz: series,timestamp,value")
    source.add_argument(
        "--prometheus.url", dest="url", metavar="URL", help="measure on your own history; needs --query"
    )
    command.add_argument("--query", metavar="Q", help="PromQL whose series are forecast; with --prometheus.url only")
    command.add_argument(
        "--span",
        type=_reading(_duration),
        metavar="T",
        help="how much of Prometheus's past to read, a sample a minute (default 1w); with --prometheus.url only",
    )
    command.add_argument("--output", required=True, type=Path, metavar="O", help="CSV with a row a forecast")
    command.add_argument(
        "--plot", type=Path, metavar="FILE.html", help="page with the forecasts drawn against what came"
    )
    command.add_argument(
        "--horizons", default="5m,15m,30m", type=_reading(_durations), help="how far ahead (default %(default)s)"
    )
    command.add_argument(
        "--quantiles",
        default="0.5,0.9,0.99",
        type=_reading(_numbers),
        help="what share of values a forecast is to cover (default %(default)s)",
    )
    command.add_argument("--origins", default=30, type=int, help="forecasts a series (default %(default)s)")
    command.add_argument(
        "--test-from", default=0.6, type=float, help="share of the recording before the first one (default %(default)s)"
    )


def _reading(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Return ``parse`` for argparse, which shows the words of this error only."""

    def read(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < _SHORTEST:
        raise ValueError(f"{text!r} is too short; give at least 1ms")
    return seconds


def _durations(text: str) -> tuple[float, ...]:
    return tuple(_duration(part) for part in text.split(","))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{text!r} is no list of numbers; write for example 0.5,0.9,0.99") from error
