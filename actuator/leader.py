"""Which of several replicas works: the one that holds a lease, elected as client-go does it.

No clock is compared with another node's. A replica watches the lease, and takes it over when it has not changed for its
whole duration by the replica's own monotonic clock. The holder counts from before it asked for the renewal that was
granted, and stops well before anybody can take over.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from actuator.platforms.errors import PlatformError

DURATION = 12.0
"""Others wait for so long after the last renewal that they saw: a killed leader is followed within 17 seconds."""
_SURE = 8.0
"""The holder acts for so long after a renewal; what it has asked for by then has the rest of the time to be done."""
LONGEST_CHANGE = DURATION - _SURE - 0.5
"""Seconds after which a change that the holder has asked for is given up: later another one may lead."""
_EVERY = 2.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Lease:
    """The lease as it is in the cluster."""

    holder: str
    """Empty where it was given back."""
    duration: float
    """Seconds that its holder was promised."""
    changes: int
    """How often it went from one to another."""
    renewed: str
    """When, in the words of its holder's clock; only compared with itself."""
    version: str = ""


class Leases(Protocol):
    """Where the lease is kept. Every method may raise PlatformError."""

    def get(self) -> Lease | None:
        """Return the lease; None where there is none yet."""

    def put(self, holder: str, changes: int, old: Lease | None) -> Lease:
        """Renew the lease for ``holder``, or make it; ConflictError where it is not ``old`` any more."""


class Election(Protocol):
    """Says whether this replica is the one that works."""

    @property
    def term(self) -> int:
        """Return how often this replica has become the one."""

    def leads(self) -> bool:
        """Tell whether it is the one now."""

    def run(self, stopped: threading.Event, changed: Callable[[], None]) -> None:
        """Stand for election until stopped, then step down; call ``changed`` when it begins or ends to lead."""


class Alone:
    """Implements ``Election`` where there are no other replicas."""

    term = 0
    """Nobody led before, so there is nothing to take over."""

    def leads(self) -> bool:
        """See Election."""
        return True

    def run(self, stopped: threading.Event, changed: Callable[[], None]) -> None:
        """See Election."""


class LeaseElection:
    """Implements ``Election``. ``name`` is this process's own; ``clock`` is monotonic, in seconds."""

    def __init__(self, leases: Leases, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._leases, self._name, self._clock = leases, name, clock
        self._mine: Lease | None = None
        self._renewed_at = -math.inf
        self._seen: Lease | None = None
        self._seen_at = -math.inf
        self._term, self._problem, self._told = 0, "", False

    @property
    def term(self) -> int:
        """See Election."""
        return self._term

    def leads(self) -> bool:
        """See Election."""
        return self._clock() < self._renewed_at + _SURE

    def run(self, stopped: threading.Event, changed: Callable[[], None]) -> None:
        """See Election."""
        while not stopped.is_set():
            self.stand()
            if self._tell():
                changed()
            stopped.wait(_EVERY)
        self.step_down()

    def stand(self) -> None:
        """Try once to get or to keep the lease; whatever comes of it, the next time it is tried again."""
        try:
            self._stand()
            problem = ""
        except PlatformError as error:
            self._mine, problem = None, str(error)
        except Exception as error:  # what nobody foresaw must not end the one thread that asks again
            self._mine, problem = None, repr(error)
        if problem and problem != self._problem:
            _log.warning("lease not renewed", error=problem)
        self._problem = problem

    def step_down(self) -> None:
        """Give the lease back, so that another need not wait for its end."""
        mine, self._renewed_at = self._mine, -math.inf
        if mine is not None:
            try:
                self._leases.put("", mine.changes, mine)
            except PlatformError as error:
                _log.warning("lease not given back", error=str(error))

    def _stand(self) -> None:
        asked_at = self._clock()
        old = self._mine or self._leases.get()
        if old is not None and old.holder != self._name and self._others(old):
            self._renewed_at = -math.inf
            return
        changes = 0 if old is None else old.changes + (old.holder != self._name)
        self._mine = self._leases.put(self._name, changes, old)
        if not self.leads():
            self._term += 1
        self._renewed_at = asked_at

    def _others(self, lease: Lease) -> bool:
        """Tell whether somebody may still rely on the lease."""
        seen = replace(lease, version="")
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        return lease.holder != "" and self._clock() < self._seen_at + lease.duration

    def _tell(self) -> bool:
        """Return whether there was something new to tell."""
        leads = self.leads()
        if leads == self._told:
            return False
        self._told = leads
        _log.info("leads" if leads else "does not lead", replica=self._name)
        return True
