"""``python -m deploy.demo up [--keep]`` shows the system at work; ``down`` removes what ``--keep`` left."""

import argparse
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from deploy.demo.configs import Pace
from deploy.demo.narrator import Narrator
from deploy.demo.show import show
from deploy.demo.stack import Stack
from deploy.setup.shell import SetupError, say
from deploy.setup.stamps import BUILD

# The service's rhythm is known after two periods, and what is said then falls due 30 s later. Compared with what came
# for so long, the forecast is trusted about half-way between two rises, not while the demand is there anyway.
_PACE = replace(Pace(), forecast={**Pace().forecast, "min_history": "36s"})


def main() -> int:
    """Return 0 when every story was told, 1 when something was missing or could not start."""
    parser = argparse.ArgumentParser(prog="deploy.demo", description=__doc__)
    parser.add_argument("--name", default="cpp-demo", help="names the containers and the directory under build/")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="run the demo").add_argument("--keep", action="store_true", help="leave it running")
    commands.add_parser("down", help="remove a demo that was left running")
    options = parser.parse_args()
    narrator = Narrator(options.name)
    directory = BUILD / options.name.removeprefix("cpp-")
    stack = Stack(run=options.name, directory=directory, node="demo", pace=_PACE, say=narrator.line)
    try:
        with _alone(stack):
            if options.command == "down":
                return 0 if _clean_up(stack) else 1
            return _up(stack, narrator, options.keep)
    except SetupError as error:
        say(f"demo: {error}")
        return 1


@contextmanager
def _alone(stack: Stack) -> Iterator[None]:
    """Bar a second run of this name, whose cleaning would tear this one down; the kernel frees what a crash held."""
    with (stack.directory / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = Path(lock.name).read_text()
            raise SetupError(f"{stack.run} runs already, as process {owner}; end it with Ctrl-C there first") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _up(stack: Stack, narrator: Narrator, keep: bool) -> int:
    status, kept = 1, False
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup it stays ignored
            signal.signal(number, _interrupt)
    try:
        status = _tell(stack, narrator)
        kept = keep
    except SetupError as error:
        say(f"demo: {error}")
    except KeyboardInterrupt:
        say("demo: interrupted; cleaning up")
        status = 130
    finally:
        cleaned = kept or _clean_up(stack)
    if kept:
        _tell_addresses(stack)
    return status if cleaned else 1


def _tell(stack: Stack, narrator: Narrator) -> int:
    stack.prepare()
    report = stack.directory.with_suffix(".json")
    missing = show(stack, narrator, report)
    for what in missing:
        say(f"did not happen in time: {what}")
    say(f"the same as data: {report}; logs: {stack.directory}")
    return 1 if missing else 0


def _clean_up(stack: Stack) -> bool:
    """Return whether nothing remains. A second Ctrl-C must not stop the cleaning half-way."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    began = time.monotonic()
    try:
        stack.stop()
    except SetupError as error:
        say(f"demo: something remains, and the next run will try again: {error}")
        return False
    say(f"demo: everything that was started is stopped and removed ({time.monotonic() - began:.0f} s)")
    return True


def _tell_addresses(stack: Stack) -> None:
    say("left running; remove it with: make demo-down")
    for part, address in stack.addresses.items():
        say(f"  {part:13} http://{address}")
    say(f"  token of the actuator's webhook: {stack.files.token}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
