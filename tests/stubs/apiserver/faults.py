"""What can befall a request: another answer, a connection that breaks, or a wait for a test to open a door."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from apiserver.request import Request
from apiserver.store import RefusedError

Matches = Callable[[Request], bool]


class Side(Enum):
    """On which side of its doing a request is met."""

    BEFORE = "before"
    AFTER = "after"


class BrokenError(Exception):
    """The connection ends without an answer."""


@dataclass
class Fault:
    """Meets the requests that match, after ``skip`` of them and at most ``times`` times."""

    matches: Matches
    side: Side = Side.BEFORE
    refusal: RefusedError | None = None
    """The answer; without one the connection breaks."""
    door: "Door | None" = None
    skip: int = 0
    times: int = 1

    def meet(self, side: Side) -> None:
        """Do to a request what is arranged. Raises RefusedError or BrokenError."""
        if side is not self.side:
            return
        if self.door is not None:
            self.door.wait()
        if self.refusal is not None:
            raise self.refusal
        raise BrokenError


@dataclass
class Door:
    """A request waits here; whoever sent it may be killed meanwhile. It gets no answer, opened or not."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Tell that a request has come, and wait to be opened."""
        self.reached.set()
        self.opened.wait(60)


class Faults:
    """The faults in waiting; each request is met by the first that matches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait for its requests."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Let every request be, and open every door."""
        with self._lock:
            for fault in self._waiting:
                if fault.door is not None:
                    fault.door.opened.set()
            self._waiting.clear()

    def take(self, request: Request) -> Fault | None:
        """Return what befalls the request."""
        with self._lock:
            for fault in self._waiting:
                if not fault.matches(request):
                    continue
                if fault.skip:
                    fault.skip -= 1
                elif fault.times:
                    fault.times -= 1
                    return fault
        return None


def asks(verb: str = "", resource: str = "", name: str = "") -> Matches:
    """Match by verb, resource and name; an empty one fits all."""

    def fits(request: Request) -> bool:
        return verb in ("", request.verb) and resource in ("", request.resource) and name in ("", request.name)

    return fits


ANYTHING = asks()
