"""What the command says while it works: one line each, on standard error."""

import sys
import time
from collections.abc import Callable

from exporter.durations import format_duration

_QUICK = 2.0
"""Seconds; what takes no longer needs no progress."""
_WORTH_TELLING = 10.0


def plain(text: str, longest: int = 400) -> str:
    """Return ``text`` as one short line: names come from files and servers, and may hold anything."""
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return line if len(line) <= longest else f"{line[: longest // 2]}…{line[-(longest // 2) + 1 :]}"


def say(message: str) -> None:
    """Write one line."""
    print(f"backtest: {plain(message)}", file=sys.stderr, flush=True)  # noqa: T201 - progress of a command


class Progress:
    """Says how far a part is, each tenth of it, and about how long the rest takes."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._began = clock()
        self._tenth = 0

    def __call__(self, share: float) -> None:
        """Take note that ``share`` (0 to 1) is done."""
        spent = self._clock() - self._began
        if int(share * 10) <= self._tenth or spent < _QUICK:
            return
        self._tenth = int(share * 10)
        left = spent * (1 - share) / share
        rest = f", about {_rough(left)} left" if left >= _WORTH_TELLING else ""
        say(f"{self._what}: {self._tenth}0 %{rest}")


def _rough(seconds: float) -> str:
    unit = 60 if seconds > 90 else 5
    return format_duration(round(seconds / unit) * unit)
