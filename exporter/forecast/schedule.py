"""When a training pass may begin, and how much CPU time it may take."""

from typing import Final

CAUSES: Final = ("schedule", "drift", "reclaim")
"""Why a pass began: its time had come, a forecast had grown worse, use stayed far under a forecast."""
_SHARE = 0.05
"""Of a core, on average."""
_MOST = 600.0
"""CPU seconds of one pass."""
_LEAST = 5.0
"""CPU seconds without which a pass is not worth the imports."""
_EARLY = 6
"""Passes out of turn in one interval, at most."""
_LONGEST_WAIT = 6 * 3600.0
"""Between a failure and the next try, however many came before."""


class Schedule:
    """Told the time by its caller; seconds. CPU time is earned as time goes by, and spent by passes."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._turn = self._began = self._failed = -float("inf")
        self._failures = 0
        self._seen: float | None = None
        self._credit = min(max(_SHARE * interval, _LEAST), _MOST)

    def cause(self, now: float, *, drifted: bool, unused: bool) -> str | None:
        """Return why a pass should begin at ``now``, one of CAUSES; None where none should."""
        self._earn(now)
        if now - self._failed < self._wait() or self._credit < _LEAST:
            return None
        if now - self._turn >= self._interval:
            return "schedule"
        if now - self._began < self._interval / _EARLY:
            return None
        return "drift" if drifted else "reclaim" if unused else None

    def begin(self, now: float, cause: str) -> float:
        """Note that a pass begins; return the CPU seconds it may take."""
        self._began = now
        if cause != "schedule":
            return max(self._credit / _EARLY, _LEAST)
        self._turn = now
        return self._credit

    def end(self, now: float, cpu_seconds: float, *, good: bool) -> None:
        """Note how a pass ended; after each failure in a row the wait is doubled."""
        self._credit -= cpu_seconds
        self._failures = 0 if good else self._failures + 1
        self._failed = -float("inf") if good else now

    def _wait(self) -> float:
        doubled = self._interval / _EARLY * 2.0 ** min(max(self._failures - 1, 0), 16)
        return min(doubled, max(_LONGEST_WAIT, self._interval))

    def _earn(self, now: float) -> None:
        """Earn what has passed; a clock that was set back makes nothing wait for the time it had shown."""
        passed = 0.0 if self._seen is None else now - self._seen
        self._seen = now
        self._turn, self._began, self._failed = (min(at, now) for at in (self._turn, self._began, self._failed))
        self._credit = min(self._credit + _SHARE * max(passed, 0.0), _MOST)
