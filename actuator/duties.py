"""What is due by the clock and needs no alert: ends of throttles and reservations, loosening, forgetting."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import structlog

from actuator.carry import Carrier
from actuator.config import Config
from actuator.crew import Crew
from actuator.decide import end_throttle
from actuator.decide.loosen import loosen
from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Plan, Refusal
from actuator.model.knowledge import Allocation, Throttle
from actuator.model.orders import Target
from actuator.platforms.errors import PlatformError
from actuator.platforms.protocol import Platform
from actuator.records import Origin, ThrottleRecord
from actuator.reservations import Reservations
from actuator.truth import Truth

_RESERVATIONS_CHECK = 10.0
_GONE_CHECK = 60.0
_PRUNE = 3600.0
_LONGEST_DELAY = 600.0
_log = structlog.get_logger(__name__)

Undo = Callable[[Throttle, Allocation], Plan | Refusal]


class Duties:
    """Ends of throttles go on while paused, in dry run and without Prometheus: what was lent is given back."""

    def __init__(
        self, config: Config, ledger: Ledger, platform: Platform, truth: Truth, carrier: Carrier, crew: Crew
    ) -> None:
        self._config, self._ledger, self._platform = config, ledger, platform
        self._truth, self._carrier, self._crew = truth, carrier, crew
        self._reservations = Reservations(ledger, platform, carrier)
        self._next: dict[str, float] = {}
        self._attempts: dict[tuple[Target, str], int] = {}

    def run(self, at: float) -> None:
        """Do what is due at epoch seconds ``at``."""
        self._ledger.expire_orders(at - 2 * self._config.alertmanager.repeat_interval, at)
        if self._due("reservations", at, _RESERVATIONS_CHECK):
            self._reservations.tend(at)
        if self._due("throttles", at, self._config.prometheus.scrape_interval):
            self._tend_all(at)
        if self._due("gone", at, _GONE_CHECK):
            self._forget_gone()
        if self._due("prune", at, _PRUNE):
            self._ledger.prune(at - self._config.ledger.retention)

    def _due(self, duty: str, at: float, every: float) -> bool:
        if at < self._next.get(duty, 0.0):
            return False
        self._next[duty] = at + every
        return True

    def _tend_all(self, at: float) -> None:
        for record in self._ledger.throttles():
            with ExitStack() as right:
                if right.enter_context(self._ledger.acting(record.throttle.target)):
                    self._crew.begin(right.pop_all(), partial(self._tend, record, at))

    def _tend(self, record: ThrottleRecord, at: float) -> None:
        if record not in self._ledger.throttles():
            return  # it was ended or changed before the right to touch it was had
        try:
            if record.throttle.expires_at <= at:
                self._end(record, at)
            elif not self._config.dry_run and self._calm(record, at):
                self._undo(record, loosen, Origin.CALM, at)
        except PlatformError as error:
            _log.warning("throttle kept", container=record.throttle.target.container, error=str(error))

    def _end(self, record: ThrottleRecord, at: float) -> None:
        """Try to end a throttle; where that fails, try again ever less often, for each try is a plan in the ledger."""
        which = (record.throttle.target, record.throttle.resource)
        attempts = self._attempts.get(which, 0)
        delay = min(self._config.prometheus.scrape_interval * 2**attempts, _LONGEST_DELAY)
        if self._due(f"end {which}", at, delay) and self._undo(record, end_throttle, Origin.TTL, at):
            self._attempts[which] = attempts + 1
        if all((other.throttle.target, other.throttle.resource) != which for other in self._ledger.throttles()):
            self._attempts.pop(which, None)
            self._next.pop(f"end {which}", None)

    def _undo(self, record: ThrottleRecord, undo: Undo, origin: Origin, at: float) -> bool:
        """Carry the undoing out; return whether that took a plan."""
        target = record.throttle.target
        allocation = self._platform.inspect(target)
        if allocation is None:
            self._ledger.forget_container(target)
            return False
        if not allocation.running:
            return False  # its limits can be read again once it runs
        # A failed step left open what is in force; this look may show it.
        self._ledger.note_allocation(target, allocation, at)
        throttle = self._as_noted(record).throttle
        verdict = undo(throttle, allocation)
        if isinstance(verdict, Refusal):
            self._ledger.record_refusal(record.order_id, verdict, at)
            self._ledger.end_throttle(target, throttle.resource, at)
            return False
        self._carrier.carry_out(self._ledger.record_plan(record.order_id, target, verdict, origin, at))
        return True

    def _as_noted(self, record: ThrottleRecord) -> ThrottleRecord:
        which = (record.throttle.target, record.throttle.resource)
        records = self._ledger.throttles()
        return next((now for now in records if (now.throttle.target, now.throttle.resource) == which), record)

    def _calm(self, record: ThrottleRecord, at: float) -> bool:
        """Tell whether fresh queries have said for long enough that the throttle's cause is gone."""
        order = self._ledger.order(record.order_id)
        if order is None:
            return False
        since = (record.calm_since or at) if self._truth.gone(order) else None
        if since != record.calm_since:
            self._ledger.set_calm(record.throttle.target, record.throttle.resource, since)
        return since is not None and at - since >= self._config.throttle.calm * 2**record.throttle.relapses

    def _forget_gone(self) -> None:
        targets: set[Target] = {held.target for held in self._ledger.held()}
        targets |= {reservation.target for _, reservation in self._ledger.reservations()}
        for target in sorted(targets, key=str):
            try:
                gone = self._platform.inspect(target) is None
            except PlatformError as error:
                _log.warning("platform does not answer", error=str(error))
                return
            if gone:
                self._ledger.forget_container(target)
                _log.info("container gone", container=target.container, container_id=target.container_id)
