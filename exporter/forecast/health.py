"""How training has done since the start, as it is published."""

from collections import Counter
from dataclasses import dataclass

from exporter.forecast.schedule import CAUSES
from exporter.forecast.trainer import REASONS


@dataclass(frozen=True)
class Health:
    """How training has done since the start."""

    passes: dict[str, int]
    """Begun, by each of CAUSES."""
    failures: dict[str, int]
    """By each of REASONS; a pass of which only a part failed is one, too, though its other parts serve."""
    changed: dict[str, int]
    """Series that were learned anew, by the CAUSES that showed it."""
    cpu_seconds: float
    """Of all children that ended."""
    fitted: float
    """Epoch seconds of the last pass that was good in every part; NaN before it."""


class Record:
    """Counts what passes come to."""

    def __init__(self) -> None:
        self._passes, self._failures, self._changed = Counter[str](), Counter[str](), Counter[str]()
        self._cpu_seconds = 0.0
        self._fitted = float("nan")

    def began(self, cause: str) -> None:
        """Count a pass that began."""
        self._passes[cause] += 1

    def ended(self, now: float, cpu_seconds: float, failure: str | None) -> None:
        """Count a pass that ended, and what failed of it."""
        self._cpu_seconds += cpu_seconds
        if failure is None:
            self._fitted = now
        else:
            self._failures[failure] += 1

    def learned_anew(self, cause: str, series: int) -> None:
        """Count series that forgot what they were."""
        self._changed[cause] += series

    def health(self) -> Health:
        """Return what was counted."""
        return Health(
            {cause: self._passes[cause] for cause in CAUSES},
            {reason: self._failures[reason] for reason in REASONS},
            {cause: self._changed[cause] for cause in CAUSES[1:]},
            self._cpu_seconds,
            self._fitted,
        )
