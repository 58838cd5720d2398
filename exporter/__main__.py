"""cpp-exporter: run, check-config, backtest, replay."""

import argparse
import signal
import sys
import threading
import time

import structlog
from waitress.server import create_server

from exporter import logs, options
from exporter.allocator import return_memory_early
from exporter.backtest.command import Request, run_backtest
from exporter.backtest.source import DEFAULT_SPAN, PrometheusQuery
from exporter.config import ConfigError, load_config
from exporter.publish.web import create_app
from exporter.replay import run_replay
from exporter.run import Exporter
from exporter.sources.prometheus import fetch_range

_log = structlog.get_logger(__name__)
_SERVER_THREADS = 4


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code: 1 for a failure, 2 for bad input."""
    chosen = options.parser().parse_args(arguments)
    logs.set_up_logging(chosen.log_level, chosen.log_format)
    try:
        return _COMMANDS[chosen.command](chosen)
    except ConfigError as error:
        return _refuse(str(error), 2)


def _refuse(message: str, code: int) -> int:
    print(f"cpp-exporter: {message}", file=sys.stderr)  # noqa: T201 - the command's answer
    return code


def _check(chosen: argparse.Namespace) -> int:
    load_config(chosen.config)
    print("the configuration is good")  # noqa: T201 - the command's answer
    return 0


def _run(chosen: argparse.Namespace) -> int:
    return_memory_early()
    config = load_config(chosen.config)
    exporter = Exporter(config)
    app = create_app(config.node, exporter.views())
    try:
        server = create_server(app, listen=chosen.listen, threads=_SERVER_THREADS, ident=None)
    except (OSError, ValueError) as error:
        return _refuse(f"cannot listen on {chosen.listen} ({error}); choose another with --web.listen-address", 1)
    threading.Thread(target=server.run, daemon=True, name="web").start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: exporter.stop())
    _log.info("serving", address=chosen.listen, node=config.node)
    exporter.loop()
    return 0


def _replay(chosen: argparse.Namespace) -> int:
    return run_replay(load_config(chosen.config), chosen.input, chosen.output, chosen.step, chosen.learn)


def _backtest(chosen: argparse.Namespace) -> int:
    if chosen.url and not chosen.query:
        return _refuse("backtest: --prometheus.url: needs --query; give the PromQL whose series are forecast", 2)
    if chosen.input and chosen.query:
        return _refuse("backtest: --query: goes with --prometheus.url; leave it out beside --input", 2)
    if chosen.input and chosen.span:
        return _refuse("backtest: --span: goes with --prometheus.url; a file is read whole", 2)
    span = chosen.span or DEFAULT_SPAN
    asked = PrometheusQuery(chosen.url, chosen.query, fetch_range, time.time(), span) if chosen.url else chosen.input
    design = (chosen.horizons, chosen.quantiles, chosen.origins, chosen.test_from)
    return run_backtest(Request(asked, chosen.output, *design, chosen.plot))


_COMMANDS = {"run": _run, "check-config": _check, "replay": _replay, "backtest": _backtest}


if __name__ == "__main__":
    sys.exit(main())
