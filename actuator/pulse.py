"""Whether the loop that decides goes round: a replica whose loop died or hangs must not lead on."""

import time
from collections.abc import Callable

_LONGEST_SILENCE = 300.0
"""Between two beats are a few calls, each of which gives up within a minute even where the server is throttled."""


class Pulse:
    """The loop beats; others, in threads of their own, listen. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._ended = False

    def beat(self) -> None:
        """Say that the loop goes on."""
        self._last = self._clock()

    def end(self) -> None:
        """Say that the loop is over, for whatever reason."""
        self._ended = True

    @property
    def beats(self) -> bool:
        """Whether the loop has begun and goes on."""
        return self._last is not None and not self.fault()

    def fault(self) -> str:
        """Return why only a new process can help; empty where nothing is wrong, or where the loop has not begun."""
        silent = 0.0 if self._last is None else self._clock() - self._last
        if self._ended:
            return "the worker's loop has ended"
        return f"the worker's loop hangs since {silent:.0f} s" if silent > _LONGEST_SILENCE else ""
