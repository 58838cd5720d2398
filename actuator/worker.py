"""The worker: takes due orders one by one through observe, decide, record, act."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from actuator.carry import Carrier
from actuator.config import Config
from actuator.decide import decide
from actuator.duties import Duties
from actuator.gate import Gate
from actuator.ledger.database import LedgerError
from actuator.ledger.protocol import Ledger
from actuator.metrics import Meters
from actuator.model import Allocation, Order, OrderState, Plan, Refusal
from actuator.platforms.errors import PlatformError
from actuator.platforms.protocol import Platform
from actuator.records import Origin
from actuator.recovery import Recovery
from actuator.seams import Observer
from actuator.truth import Truth

_PAUSE_BETWEEN_PASSES = 1.0
_LONGEST_DELAY = 600.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Peers:
    """The rooms that the worker walks through."""

    ledger: Ledger
    platform: Platform
    observer: Observer
    carrier: Carrier
    gate: Gate
    duties: Duties
    recovery: Recovery
    truth: Truth


class Worker:
    """One loop in one thread. ``clock`` gives epoch seconds."""

    def __init__(self, config: Config, peers: Peers, meters: Meters, clock: Callable[[], float]) -> None:
        self._config, self._peers, self._meters, self._clock = config, peers, meters, clock
        self._retry = config.prometheus.scrape_interval
        self._wake, self._stop = threading.Event(), threading.Event()
        self._ledger_down = self._running = False

    def wake(self) -> None:
        """Let the next pass begin now."""
        self._wake.set()

    def stop(self) -> None:
        """Let the loop end after the order in hand."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Make passes until stopped."""
        self._running = True
        try:
            while not self._stop.is_set():
                self._wake.clear()
                self.run_once()
                self._wake.wait(_PAUSE_BETWEEN_PASSES)
        finally:
            self._running = False

    def alive(self) -> bool:
        """Tell whether the loop runs."""
        return self._running

    def run_once(self) -> None:
        """Make one pass: what a crash left, what is due by the clock, then the orders."""
        try:
            self._try(self._peers.recovery.run)
            self._try(lambda: self._peers.duties.run(self._clock()))
            self._try(self._serve_due)
        except LedgerError as error:
            self._ledger_state(down=True, detail=str(error))
        else:
            self._ledger_state(down=False)

    def _try(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except LedgerError:
            raise
        except Exception:  # what nobody foresaw in one order or duty must not keep the others waiting
            _log.exception("worker error")
            self._meters.worker_errors.inc()
            return False
        return True

    def _serve_due(self) -> None:
        for order in self._peers.ledger.due_orders(self._clock()):
            if self._stop.is_set():
                return
            if not self._try(partial(self._serve, order)):
                delay = min(self._retry * 2**order.attempts, _LONGEST_DELAY)
                self._peers.ledger.hold_order(order.id, self._clock() + delay, order.attempts + 1)

    def _serve(self, order: Order) -> None:
        with self._peers.ledger.acting():
            self._work(order)

    def _work(self, order: Order) -> None:
        verdict = self._peers.gate.refusal() or self._decide(order)
        refusal = self._carry_out(order, verdict) if isinstance(verdict, Plan) else verdict
        if refusal is None:
            self._peers.ledger.hold_order(order.id, self._clock() + self._config.limits.cooldown, 0)
        else:
            self._refuse(order, refusal)

    def _decide(self, order: Order) -> Plan | Refusal:
        try:
            allocation = self._look(order)
        except PlatformError as error:
            return Refusal("platform_unavailable", str(error), retryable=True)
        at = self._clock()
        observation = self._peers.observer.observe(order, at)
        memory = self._peers.ledger.recall(order, allocation, at)
        return decide(order, observation, allocation, memory, self._config.limits)

    def _look(self, order: Order) -> Allocation | None:
        allocation = self._peers.platform.inspect(order.target)
        if allocation is not None and allocation.running:  # a stopped one has no limits to compare
            self._peers.ledger.note_allocation(order.target, allocation, self._clock())
        return allocation

    def _carry_out(self, order: Order, plan: Plan) -> Refusal | None:
        _log.info("plan", order=order.id, alert=order.alert, container=order.target.container, reason=plan.reason)
        records = self._peers.ledger.record_plan(order.id, order.target, plan, Origin.ORDER, self._clock())
        if self._config.dry_run:
            self._peers.carrier.pretend(records)
            return None
        return self._peers.carrier.carry_out(records, lambda: self._peers.truth.refusal(order))

    def _refuse(self, order: Order, refusal: Refusal) -> None:
        if self._peers.ledger.record_refusal(order.id, refusal, self._clock()):
            _log.info(
                "refused",
                order=order.id,
                alert=order.alert,
                container=order.target.container,
                reason=refusal.reason,
                detail=refusal.detail,
                retryable=refusal.retryable,
            )
        if refusal.retryable:
            self._peers.ledger.hold_order(order.id, self._clock() + self._retry, 0)
        else:
            self._peers.ledger.close_order(order.id, OrderState.REFUSED, self._clock())

    def _ledger_state(self, down: bool, detail: str = "") -> None:
        if down != self._ledger_down:
            self._ledger_down = down
            _log.error("ledger lost", detail=detail) if down else _log.info("ledger back")
