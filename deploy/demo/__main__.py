"""``python -m deploy.demo up [--keep]`` shows the system at work; ``down`` removes what ``--keep`` left."""

import argparse
import signal
import sys
import time
from types import FrameType

from deploy.demo.narrator import Narrator
from deploy.demo.show import show
from deploy.demo.stack import Stack
from deploy.setup.shell import SetupError, say
from deploy.setup.stamps import BUILD


def main() -> int:
    """Return 0 when every story was told, 1 when something was missing or could not start."""
    parser = argparse.ArgumentParser(prog="deploy.demo", description=__doc__)
    parser.add_argument("--name", default="cpp-demo", help="names the containers and the directory under build/")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="run the demo").add_argument("--keep", action="store_true", help="leave it running")
    commands.add_parser("down", help="remove a demo that was left running")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    narrator = Narrator(options.name)
    directory = BUILD / options.name.removeprefix("cpp-")
    stack = Stack(run=options.name, directory=directory, node="demo", say=narrator.line)
    if options.command == "down":
        return _down(stack)
    return _up(stack, narrator, options.keep)


def _up(stack: Stack, narrator: Narrator, keep: bool) -> int:
    kept = False
    try:
        stack.prepare()
        report = stack.directory.with_suffix(".json")
        missing = show(stack, narrator, report)
        for what in missing:
            say(f"did not happen in time: {what}")
        say(f"the same as data: {report}; logs: {stack.directory}")
        kept = keep
        if kept:
            _tell_addresses(stack)
        return 1 if missing else 0
    except SetupError as error:
        say(f"demo: {error}")
        return 1
    except KeyboardInterrupt:
        say("demo: interrupted; cleaning up")
        return 130
    finally:
        if not kept:
            _clean_up(stack)


def _down(stack: Stack) -> int:
    try:
        _clean_up(stack)
    except SetupError as error:
        say(f"demo-down: {error}")
        return 1
    return 0


def _clean_up(stack: Stack) -> None:
    """A second Ctrl-C must not stop the cleaning half-way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    began = time.monotonic()
    stack.stop()
    say(f"demo: everything that was started is stopped and removed ({time.monotonic() - began:.0f} s)")


def _tell_addresses(stack: Stack) -> None:
    say("left running; remove it with: make demo-down")
    for part, address in stack.addresses.items():
        say(f"  {part:13} http://{address}")
    say(f"  token of the actuator's webhook: {stack.files.token}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
