"""Whether anything new may be done: the pause switch and the watchdog. Both are remembered over restarts."""

from collections.abc import Callable

import structlog

from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Refusal

_PAUSED = "paused"
_LAST_SEEN = "watchdog_last_seen"
_log = structlog.get_logger(__name__)


class Gate:
    """Closed by hand, or while the watchdog alert has been silent for ``silence`` seconds or was never heard."""

    def __init__(self, ledger: Ledger, silence: float, clock: Callable[[], float]) -> None:
        self._ledger, self._silence, self._clock = ledger, silence, clock
        self._was: str | None = ""

    def pause(self) -> None:
        """Close by hand."""
        self._ledger.put(_PAUSED, "1")

    def resume(self) -> None:
        """Open what was closed by hand."""
        self._ledger.put(_PAUSED, "0")

    def heard(self, at: float) -> None:
        """Note that the watchdog alert has arrived."""
        self._ledger.put(_LAST_SEEN, repr(at))

    @property
    def paused(self) -> bool:
        """Whether it is closed by hand."""
        return self._ledger.get(_PAUSED) == "1"

    @property
    def last_heard(self) -> float | None:
        """Epoch seconds of the last watchdog alert; None before the first."""
        text = self._ledger.get(_LAST_SEEN)
        return None if text is None else float(text)

    @property
    def silent(self) -> bool:
        """Whether the watchdog has been silent for too long."""
        last = self.last_heard
        return last is None or self._clock() - last > self._silence

    def refusal(self) -> Refusal | None:
        """Return why nothing may be done now, or None; tells the log when that changes."""
        refusal = self._refusal()
        reason = refusal.reason if refusal else None
        if reason != self._was:
            _log.warning("paused", reason=reason, detail=refusal.detail) if refusal else _log.info("acting")
            self._was = reason
        return refusal

    def _refusal(self) -> Refusal | None:
        if self.paused:
            return Refusal("paused", "paused by hand; POST /resume to go on", retryable=True)
        if self.silent:
            last = self.last_heard
            since = "since the first start" if last is None else f"for {self._clock() - last:.0f} s"
            detail = f"the watchdog alert was not heard {since}: alerts may be lost on the way"
            return Refusal("watchdog_silent", detail, retryable=True)
        return None
