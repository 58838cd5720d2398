"""Durations as people write them: ``100ms``, ``15s``, ``5m``, ``1h``, ``1d``."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def parse_duration(text: object) -> float:
    """Return seconds for a number of seconds or a text such as ``5m``; raise ValueError otherwise."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _PATTERN.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write for example 100ms, 15s, 5m, 1h or 1d")
    return float(match[1]) * _UNITS[match[2]]


def format_duration(seconds: float) -> str:
    """Return the shortest text that ``parse_duration`` reads back: 300 gives ``5m``."""
    for unit in ("w", "d", "h", "m", "s"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
"""Seconds, from a number or a text with a unit."""
