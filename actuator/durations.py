"""Durations in configuration: a number of seconds, or a text such as ``100ms``, ``15s``, ``5m``, ``1h``, ``90d``."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TEXT = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d)")


def to_seconds(value: object) -> float:
    """Return ``value`` in seconds; raise ValueError where it is no duration."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is no duration; write for example 100ms, 15s, 5m or 1h")
    return float(match["number"]) * _SECONDS[match["unit"]]


Duration = Annotated[float, BeforeValidator(to_seconds), Field(gt=0)]
"""Seconds, above zero."""
