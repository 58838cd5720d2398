"""What is forecast."""

from dataclasses import dataclass

_DAY = 86400.0
"""Seconds."""
_SLOT = 600.0
"""Seconds in a slot of the weekly profile, or one step where that is longer."""
_WINDOW = 1441
"""Columns a step looks back on at most: a day of minutes, and the column a day ago."""
MEDIAN = 0.5
"""The quantile that is served by the blend of all models; others lie beside it."""
DAYS = 7
"""Days back that the forecast looks at most, at the same time of each."""


@dataclass(frozen=True)
class Plan:
    """All in columns of the grid."""

    ahead: tuple[int, ...]
    """Horizons."""
    levels: tuple[float, ...]
    """Quantiles, rising."""
    resources: int
    """Series per container."""
    day: int
    """Columns in a day."""
    window: int
    """Columns of history that a step may look back on."""
    slot: int
    """Columns in a slot of the weekly profile."""

    @classmethod
    def of(cls, horizons: tuple[float, ...], levels: tuple[float, ...], resources: int, step: float) -> "Plan":
        """Return the plan for ``horizons`` in seconds, on columns of ``step`` seconds."""
        ahead = tuple(max(round(horizon / step), 1) for horizon in horizons)
        day, slot = (max(round(span / step), 1) for span in (_DAY, _SLOT))
        return cls(ahead, levels, resources, day, _WINDOW, slot)

    @property
    def slots(self) -> int:
        """Slots that a week of looking back needs."""
        return (DAYS * self.day + max(self.ahead)) // self.slot + 3
