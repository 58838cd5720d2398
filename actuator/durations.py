"""Durations as people write them: ``15s``, ``5m``, ``1h``, or a plain number of seconds."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TEXT = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def duration_seconds(value: object) -> float:
    """Return seconds for ``5m`` or ``300``; raise ValueError with an example for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if match := _TEXT.fullmatch(str(value).strip()):
        return float(match[1]) * _SECONDS[match[2]]
    raise ValueError(f"{value!r} is not a duration; write for example 15s, 5m or 1h")


Duration = Annotated[float, BeforeValidator(duration_seconds), Field(gt=0)]
"""Seconds, more than none."""
