"""The worker: takes due orders some at a time and asks for a verdict on each; a crew of threads carries plans out."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from actuator.crew import Crew
from actuator.duties import Duties
from actuator.eyes import Eyes, Seen
from actuator.gate import Gate
from actuator.ledger.database import LedgerError
from actuator.ledger.protocol import Ledger
from actuator.metrics import Meters
from actuator.model.decisions import Plan
from actuator.model.orders import Order, OrderState
from actuator.pulse import Pulse
from actuator.records import StepRecord
from actuator.recovery import Recovery
from actuator.relocate import Relocations
from actuator.tenure import Tenure
from actuator.verdicts import Verdicts

_PAUSE_BETWEEN_PASSES = 1.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Peers:
    """The rooms that the worker walks through."""

    ledger: Ledger
    eyes: Eyes
    verdicts: Verdicts
    gate: Gate
    duties: Duties
    recovery: Recovery
    crew: Crew
    tenure: Tenure
    relocations: Relocations | None
    """None where the platform moves nothing."""


class Worker:
    """One loop in one thread, which decides; others carry out what it decided. ``clock`` gives epoch seconds."""

    def __init__(self, peers: Peers, meters: Meters, clock: Callable[[], float]) -> None:
        self._peers, self._meters, self._clock = peers, meters, clock
        self._wake, self._stop = threading.Event(), threading.Event()
        self._ledger_down, self.pulse = False, Pulse()

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
                    self._try(partial(self._peers.verdicts.refuse, order, closed))
                return
            for (order, right), seen in zip(taken, self._peers.eyes.look(order for order, _ in taken), strict=True):
                if not self._try(partial(self._serve, order, right, seen)):
                    self._peers.verdicts.put_off(order)

    def _take(self, order: Order, rights: ExitStack) -> ExitStack | None:
        """Return the right to touch the order's container, where it is to be had and the order is still due."""
        right = rights.enter_context(ExitStack())
        free = right.enter_context(self._peers.ledger.acting(order.target))
        return right if free and self._still_due(order) else None

    def _serve(self, order: Order, right: ExitStack, seen: Future[Seen]) -> None:
        self.pulse.beat()
        verdict = self._peers.verdicts.decide(order, seen.result())
        if not isinstance(verdict, Plan):
            self._peers.verdicts.refuse(order, verdict)
        elif self._free(order, verdict, right):
            records = self._peers.verdicts.record(order, verdict)
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
        if not self._try(partial(self._peers.verdicts.carry_out, order, records)):
            self._peers.verdicts.put_off(order)
        self.wake()

    def _ledger_state(self, down: bool, detail: str = "") -> None:
        if down != self._ledger_down:
            self._ledger_down = down
            _log.error("ledger lost", detail=detail) if down else _log.info("ledger back")
