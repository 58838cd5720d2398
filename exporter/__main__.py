"""cpp-exporter: run, check-config, backtest, replay."""

import argparse
import signal
import sys
import threading
from pathlib import Path

import structlog
from waitress.server import create_server

from exporter import logs
from exporter.backtest import add_backtest_arguments, backtest_command
from exporter.config import ConfigError, load_config
from exporter.publish.web import create_app
from exporter.replay import add_replay_arguments, replay_command
from exporter.run import Exporter

_log = structlog.get_logger(__name__)
_SERVER_THREADS = 4


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code: 1 for a failure, 2 for bad input."""
    options = _parser().parse_args(arguments)
    logs.set_up_logging(options.log_level, options.log_format)
    try:
        return int(options.command(options))
    except ConfigError as error:
        print(f"cpp-exporter: {error}", file=sys.stderr)  # noqa: T201
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cpp-exporter", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="learn, forecast and serve")
    run.add_argument("--web.listen-address", dest="listen", default="127.0.0.1:17900", metavar="HOST:PORT")
    check = commands.add_parser("check-config", help="say whether the configuration is good, without starting")
    backtest = commands.add_parser("backtest", help="forecast a recording and measure the error")
    add_backtest_arguments(backtest)
    replay = commands.add_parser("replay", help="score a recording as run would have")
    add_replay_arguments(replay)
    for command, function in ((run, _run), (check, _check), (backtest, backtest_command), (replay, replay_command)):
        command.set_defaults(command=function)
        command.add_argument("--log.level", dest="log_level", default="info", choices=logs.LEVELS)
        command.add_argument("--log.format", dest="log_format", default="logfmt", choices=logs.FORMATS)
        if command in (run, check, replay):
            command.add_argument("--config.file", dest="config", type=Path, metavar="FILE")
    return parser


def _check(options: argparse.Namespace) -> int:
    load_config(options.config)
    print("the configuration is good")  # noqa: T201
    return 0


def _run(options: argparse.Namespace) -> int:
    config = load_config(options.config)
    exporter = Exporter(config)
    try:
        server = create_server(
            create_app(config.node, exporter.views()), listen=options.listen, threads=_SERVER_THREADS, ident=None
        )
    except (OSError, ValueError) as error:
        print(  # noqa: T201
            f"cpp-exporter: cannot listen on {options.listen} ({error}); choose another with --web.listen-address",
            file=sys.stderr,
        )
        return 1
    threading.Thread(target=server.run, daemon=True, name="web").start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: exporter.stop())
    _log.info("serving", address=options.listen, node=config.node)
    exporter.loop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
