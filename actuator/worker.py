"""The worker: looks at due orders some at a time, decides on one by one; a crew of threads carries plans out."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from actuator.carry import Carrier
from actuator.config import Config
from actuator.crew import Crew
from actuator.decide import decide
from actuator.duties import Duties
from actuator.eyes import Eyes, Seen
from actuator.gate import Gate
from actuator.ledger.database import LedgerError
from actuator.ledger.protocol import Ledger
from actuator.metrics import Meters
from actuator.model.decisions import Notice, Plan, Refusal
from actuator.model.orders import Intent, Order, OrderState
from actuator.platforms.errors import DEFERRED
from actuator.platforms.protocol import Platform
from actuator.pulse import Pulse
from actuator.records import Origin, StepRecord
from actuator.recovery import Recovery
from actuator.relocate import Relocations
from actuator.seams import Observer
from actuator.survey import Surveyor
from actuator.tenure import Tenure
from actuator.truth import Truth

_PAUSE_BETWEEN_PASSES = 1.0
_LONGEST_DELAY = 600.0
_MOST_DOUBLINGS = 16
"""Of the delay between tries: far beyond the longest, and far from what a float can hold."""
_MOVES = frozenset({Intent.MIGRATE, Intent.QUARANTINE})
_OF_THIS_SYSTEM = frozenset({"paused", "watchdog_silent", "prometheus_unreachable", "platform_unavailable"})
"""Refusals that say nothing about the container, of which its owner need not know."""
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
    crew: Crew
    tenure: Tenure
    surveyor: Surveyor | None
    """Looks around for orders to move; None where the platform moves nothing, as the next."""
    relocations: Relocations | None


class Worker:
    """One loop in one thread, which decides; others carry out what it decided. ``clock`` gives epoch seconds."""

    def __init__(self, config: Config, peers: Peers, meters: Meters, clock: Callable[[], float]) -> None:
        self._config, self._peers, self._meters, self._clock = config, peers, meters, clock
        self._retry = config.prometheus.scrape_interval
        self._wake, self._stop = threading.Event(), threading.Event()
        self._ledger_down, self.pulse = False, Pulse()
        self._eyes = Eyes(peers.ledger, peers.platform, peers.observer, clock)

    def wake(self) -> None:
        """Let the next pass begin now."""
        self._wake.set()

    def stop(self) -> None:
        """Let the loop end after what is in hand."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Make passes until stopped."""
        try:
            while not self._stop.is_set():
                self._wake.clear()
                self.run_once()
                self._wake.wait(_PAUSE_BETWEEN_PASSES)
            self.settle()
        except BaseException:  # a thread that ends by SystemExit would do so without a word
            _log.exception("worker ended")
            raise
        finally:
            self.pulse.end()

    def settle(self) -> None:
        """Wait until nothing is under way."""
        self._peers.crew.wait()

    def run_once(self) -> None:
        """Begin what a crash left, what is due by the clock, orders, and moves, which mostly wait for others."""
        self.pulse.beat()
        try:
            self._try(self._pass)
        except LedgerError as error:
            self._ledger_state(down=True, detail=str(error))

    def _pass(self) -> None:
        if not self._peers.tenure.begin():
            return
        duties = partial(self._peers.duties.run, self._clock())
        for part in (self._peers.recovery.run, duties, self._serve_due, self._tend_moves):
            self.pulse.beat()
            self._try(part)
        self._ledger_state(down=False)

    def _try(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except LedgerError:
            raise
        except Exception:  # what nobody foresaw in one order, duty or pass must not keep the others waiting
            _log.exception("worker error")
            self._meters.worker_errors.inc()
            return False
        return True

    def _tend_moves(self) -> None:
        if self._peers.relocations is not None:
            self._peers.relocations.tend(self._clock())

    def _serve_due(self) -> None:
        due = self._peers.ledger.due_orders(self._clock())
        while due and not self._stop.is_set() and (hands := self._peers.crew.free):
            self._serve_together(due[:hands])
            due = due[hands:]

    def _serve_together(self, orders: Sequence[Order]) -> None:
        """Look at all at once, which takes time; decide on one after the other, since each decision bears on others."""
        with ExitStack() as rights:
            taken = [(order, right) for order in orders if (right := self._take(order, rights)) is not None]
            closed = self._peers.gate.refusal()
            if closed is not None:
                for order, _ in taken:
                    self._try(partial(self._refuse, order, closed))
                return
            for (order, right), seen in zip(taken, self._eyes.look(order for order, _ in taken), strict=True):
                if not self._try(partial(self._serve, order, right, seen)):
                    self._put_off(order)

    def _take(self, order: Order, rights: ExitStack) -> ExitStack | None:
        """Return the right to touch the order's container, where it is to be had and the order is still due."""
        right = rights.enter_context(ExitStack())
        free = right.enter_context(self._peers.ledger.acting(order.target))
        return right if free and self._still_due(order) else None

    def _serve(self, order: Order, right: ExitStack, seen: Future[Seen]) -> None:
        self.pulse.beat()
        verdict = self._decide(order, seen.result())
        if not isinstance(verdict, Plan):
            self._refuse(order, verdict)
        elif self._free(order, verdict, right):
            records = self._record(order, verdict)
            self._peers.crew.begin(right.pop_all(), partial(self._finish, order, records))

    def _free(self, order: Order, plan: Plan, right: ExitStack) -> bool:
        """A plan may take another pod than its order is about; that one must be in no other hand either."""
        if plan.target is None or plan.target == order.target:
            return True
        return right.enter_context(self._peers.ledger.acting(plan.target))

    def _still_due(self, order: Order) -> bool:
        """Another thread may have had the order in hand when it was found to be due."""
        now = self._peers.ledger.order(order.id)
        return now is not None and now.state is OrderState.OPEN and now.not_before <= self._clock()

    def _finish(self, order: Order, records: Sequence[StepRecord]) -> None:
        if not self._try(partial(self._carry_out, order, records)):
            self._put_off(order)
        self.wake()

    def _decide(self, order: Order, seen: Seen) -> Plan | Refusal:
        if isinstance(seen, Refusal):
            return seen
        (allocation, observation), at = seen, seen[1].at
        memory = self._peers.ledger.recall(order, allocation, at)
        scene = self._peers.surveyor.survey(order, at) if self._peers.surveyor and order.intent in _MOVES else None
        return decide(order, observation, allocation, memory, self._config.limits, scene)

    def _record(self, order: Order, plan: Plan) -> list[StepRecord]:
        _log.info("plan", order=order.id, alert=order.alert, container=order.target.container, reason=plan.reason)
        self._tell(order, "Plan", plan.reason, warning=False)
        target = plan.target or order.target
        return self._peers.ledger.record_plan(order.id, target, plan, Origin.ORDER, self._clock())

    def _carry_out(self, order: Order, records: Sequence[StepRecord]) -> None:
        refusal = None
        if self._config.dry_run:
            self._peers.carrier.pretend(records)
        else:
            refusal = self._peers.carrier.carry_out(records, lambda: self._peers.truth.refusal(order))
        if refusal is None:
            self._peers.ledger.hold_order(order.id, self._clock() + self._config.limits.cooldown, 0)
        else:
            self._refuse(order, refusal)

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
            if refusal.reason not in _OF_THIS_SYSTEM:
                self._tell(order, refusal.reason, refusal.detail, warning=True)
        if not refusal.retryable or (refusal.reason == DEFERRED and self._waited(order)):
            self._peers.ledger.close_order(order.id, OrderState.REFUSED, self._clock())
        elif refusal.reason == DEFERRED:
            self._put_off(order)
        else:
            self._peers.ledger.hold_order(order.id, self._clock() + self._retry, 0)

    def _tell(self, order: Order, reason: str, text: str, warning: bool) -> None:
        if not self._config.dry_run:
            word = "".join(part[:1].upper() + part[1:] for part in reason.split("_"))
            self._peers.platform.tell(order.target, Notice(self._clock(), order.intent, word, text, warning))

    def _put_off(self, order: Order) -> None:
        """Try the order again ever later."""
        delay = min(self._retry * _growth(order), _LONGEST_DELAY)
        self._peers.ledger.hold_order(order.id, self._clock() + delay, order.attempts + 1)

    def _waited(self, order: Order) -> bool:
        """Tell whether an order was put off for as long as one may be: the sum of the delays so far."""
        return bool(self._retry * (_growth(order) - 1) >= self._config.limits.deferral_deadline)

    def _ledger_state(self, down: bool, detail: str = "") -> None:
        if down != self._ledger_down:
            self._ledger_down = down
            _log.error("ledger lost", detail=detail) if down else _log.info("ledger back")


def _growth(order: Order) -> int:
    return int(2 ** min(order.attempts, _MOST_DOUBLINGS))
