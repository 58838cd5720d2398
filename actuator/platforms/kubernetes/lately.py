"""Answers that count for a while: what changes seldom and is asked for often."""

from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 2000
T = TypeVar("T")


class Lately(Generic[T]):
    """``ask`` with a memory: an answer counts for ``seconds`` by ``clock``. Threads may share it."""

    def __init__(self, ask: Callable[..., T], seconds: float, clock: Callable[[], float], effort: float = 0.0) -> None:
        """An answer counts for longer where it took long: ``effort`` times as long as it took."""
        self._ask, self._seconds, self._clock, self._effort = ask, seconds, clock, effort
        self._known: dict[tuple[str, ...], tuple[float, T]] = {}
        """Until when each answer counts, and the answer."""

    def __call__(self, *which: str) -> T:
        """Return the answer to ``ask(*which)``; what it raises is not remembered."""
        began = self._clock()
        known = self._known.get(which)
        if known is not None and began < known[0]:
            return known[1]
        del known
        self._known.pop(which, None)  # a large one must not be kept beside the one that takes its place
        answer = self._ask(*which)
        if len(self._known) >= _MOST:
            self._known.clear()
        took = self._clock() - began
        self._known[which] = (began + max(self._seconds, self._effort * took), answer)
        return answer
