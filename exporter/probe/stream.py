"""The lines of JSON that cpp-probe-kernel prints, as events."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Maps = Mapping[str, Mapping[str, int]]
"""Map name without the @ → key as printed (``"cgroup"`` or ``"cgroup,label"``) → count since the last clearing."""


@dataclass(frozen=True)
class Print:
    """All maps at one time; ``cleared`` when counting starts again from zero after it."""

    at: float
    """Seconds since the epoch."""
    maps: Maps
    cleared: bool = False


@dataclass(frozen=True)
class Paired:
    """Pairs of calls counted since the last such event."""

    at: float
    """Seconds since the epoch."""
    pairs: Mapping[str, int]
    """``"cgroup,pair"`` → count; the pair is 512 × the first call's number + the second's."""


@dataclass(frozen=True)
class Lost:
    """Events for which the kernel's maps had no room."""

    events: int


@dataclass(frozen=True)
class Said:
    """A line that is not JSON: what the program wants a person to know, cut to what a log can bear."""

    text: str


_LONGEST_TEXT = 300
_MESSAGE = '{"type"'
"""How each line of JSON begins; one that was cut off, as by the program's death, tells a person nothing."""

Event = Print | Paired | Lost | Said


@dataclass
class _Block:
    at: float = 0.0
    maps: dict[str, dict[str, int]] = field(default_factory=dict)


def parse(lines: Iterable[str], clock: Callable[[], float]) -> Iterator[Event]:
    """Turn lines into events as they arrive.

    A print's time is when its first line arrives: the maps are read right after it was written.
    """
    block = _Block()
    for line in lines:
        match _message(line.strip()):
            case Said() as said:
                yield said
            case {"type": "printf", "data": "print\n" | "pairs\n"}:
                block = _Block(clock())
            case {"type": "map", "data": dict(maps)}:
                block.maps |= {name.removeprefix("@"): values for name, values in maps.items()}
            case {"type": "printf", "data": "end\n"}:
                yield Print(block.at, block.maps)
            case {"type": "printf", "data": "cleared\n"}:
                yield Print(block.at, block.maps, cleared=True)
            case {"type": "printf", "data": "paired\n"}:
                yield Paired(block.at, block.maps.get("pairs", {}))
            case {"type": "lost_events", "data": {"events": int(events)}}:
                yield Lost(events)


def _message(text: str) -> object:
    """Return what a line is, None for one that tells nothing."""
    try:
        return json.loads(text)
    except ValueError:
        return Said(text[:_LONGEST_TEXT]) if text and not text.startswith(_MESSAGE) else None
