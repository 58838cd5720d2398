"""cpp-actuator: run, check-config, history, restore."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from actuator import history, logs, service
from actuator.auth import TokenError, TokenFile
from actuator.carry import Carrier
from actuator.config import Config, ConfigError, load_config
from actuator.ledger.database import LedgerError
from actuator.ledger.sqlite import SqliteLedger
from actuator.outside import open_outside
from actuator.platforms.errors import PlatformError
from actuator.platforms.settings import DockerConfig
from actuator.restore import Restorer, touched
from actuator.server import AddressError, listen
from actuator.webconfig import load_web_config

_BAD_CONFIG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status: 0 done, 1 failed, 2 wrong configuration or usage."""
    options = _parser().parse_args(arguments)
    logs.set_up(options.log_level, options.log_format)
    commands = {"run": _run, "check-config": _check_config, "history": _history, "restore": _restore}
    try:
        return commands[options.command](options)
    except (ConfigError, TokenError) as error:
        sys.stderr.write(f"cpp-actuator: {error}\n")
        return _BAD_CONFIG
    except (LedgerError, AddressError, PlatformError) as error:
        sys.stderr.write(f"cpp-actuator: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config.file", dest="config", type=Path, required=True, help="configuration file (YAML)")
    common.add_argument("--log.level", dest="log_level", choices=logs.LEVELS, default="info")
    common.add_argument("--log.format", dest="log_format", choices=logs.FORMATS, default="logfmt")
    web = argparse.ArgumentParser(add_help=False)
    web.add_argument(
        "--web.config.file", dest="web_config", type=Path, help="TLS and basic auth, as the exporters' file"
    )
    parser = argparse.ArgumentParser(
        prog="cpp-actuator", description="Turns alerts into checked actions on containers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", parents=[common, web], help="take alerts and act on them")
    run.add_argument("--web.listen-address", dest="address", default="127.0.0.1:17902", help="address to listen on")
    commands.add_parser("check-config", parents=[common, web], help="say whether the configuration is right")
    past = commands.add_parser("history", parents=[common], help="show what was asked, decided and done")
    past.add_argument("--limit", type=int, default=50, help="newest actions to show")
    past.add_argument("--format", choices=("table", "json"), default="table")
    back = commands.add_parser("restore", parents=[common], help="give back the limits that the owner had set")
    which = back.add_mutually_exclusive_group(required=True)
    which.add_argument("--container", help="name, pod, or beginning of the id")
    which.add_argument("--all", action="store_true", help="every container that was changed")
    return parser


def _run(options: argparse.Namespace) -> int:
    config, web_config = _checked(options), load_web_config(options.web_config)
    with listen(options.address) as listener:
        service.run(config, open_outside(config), listener, (options.web_config, web_config), time.time)
    return 0


def _check_config(options: argparse.Namespace) -> int:
    _checked(options)
    load_web_config(options.web_config)
    _say(f"{options.config}: is right")
    return 0


def _history(options: argparse.Namespace) -> int:
    actions = _ledger(load_config(options.config)).actions(max(options.limit, 1))
    _say(json.dumps(actions, indent=2) if options.format == "json" else history.render(actions))
    return 0


def _restore(options: argparse.Namespace) -> int:
    config = load_config(options.config)
    outside = open_outside(config, by_hand=True)
    ledger = _ledger(config) if isinstance(config.platform, DockerConfig) else SqliteLedger(config.ledger.path)
    targets = touched(ledger, outside.platform, options.container)
    if not targets:
        _say("No container to restore: this actuator has changed none" + _named(options.container))
        return 1 if options.container else 0
    carrier = Carrier(ledger, outside.executor, time.time)
    results = Restorer(ledger, outside.platform, carrier, config.limits, time.time).restore(targets)
    for target, said, _ in results:
        _say(f"{'/'.join(filter(None, (target.namespace, target.pod, target.container)))}: {said}")
    return 0 if all(good for _, _, good in results) else 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _named(container: str | None) -> str:
    return f" of the name or id {container}" if container else ""


def _checked(options: argparse.Namespace) -> Config:
    config = load_config(options.config)
    TokenFile(config.webhook.token_file).token()
    return config


def _ledger(config: Config) -> SqliteLedger:
    """Open a ledger that is there; an empty new one would say that nothing was ever done."""
    path = config.ledger.path
    if not path.exists():
        raise LedgerError(f"{path}: does not exist; start cpp-actuator run once, or mend ledger.path")
    return SqliteLedger(path)


if __name__ == "__main__":
    sys.exit(main())
