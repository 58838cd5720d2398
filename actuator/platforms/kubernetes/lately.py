"""Answers that count for a while: what changes seldom and is asked for often."""

from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 2000
T = TypeVar("T")


class Lately(Generic[T]):
    """``ask`` with a memory: an answer is at most ``seconds`` old by ``clock``. Threads may share it."""

    def __init__(self, ask: Callable[..., T], seconds: float, clock: Callable[[], float]) -> None:
        self._ask, self._seconds, self._clock = ask, seconds, clock
        self._known: dict[tuple[str, ...], tuple[float, T]] = {}

    def __call__(self, *which: str) -> T:
        """Return the answer to ``ask(*which)``; what it raises is not remembered."""
        now = self._clock()
        known = self._known.get(which)
        if known is not None and now - known[0] < self._seconds:
            return known[1]
        answer = self._ask(*which)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[which] = (now, answer)
        return answer
