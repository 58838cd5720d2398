"""What becomes of an order: it is decided on, written down, told, carried out, put off or closed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from actuator.carry import Carrier
from actuator.config import Config
from actuator.decide import decide
from actuator.eyes import Seen
from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Notice, Plan, Refusal
from actuator.model.orders import Intent, Order, OrderState
from actuator.platforms.errors import DEFERRED
from actuator.platforms.protocol import Platform
from actuator.records import Origin, StepRecord
from actuator.survey import Surveyor
from actuator.truth import Truth

_LONGEST_DELAY = 600.0
_MOST_DOUBLINGS = 16
"""Of the delay between tries: far beyond the longest, and far from what a float can hold."""
_MOVES = frozenset({Intent.MIGRATE, Intent.QUARANTINE})
_OF_THIS_SYSTEM = frozenset({"paused", "watchdog_silent", "prometheus_unreachable", "platform_unavailable"})
"""Refusals that say nothing about the container, of which its owner need not know."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Verdicts:
    """Decides on one order, and sees to what follows from it; each method may raise LedgerError."""

    config: Config
    ledger: Ledger
    platform: Platform
    carrier: Carrier
    truth: Truth
    surveyor: Surveyor | None
    """Looks around for orders to move; None where the platform moves nothing."""
    clock: Callable[[], float]
    """Gives epoch seconds."""

    def decide(self, order: Order, seen: Seen) -> Plan | Refusal:
        """Return what to do about what is seen, or why nothing is done."""
        if isinstance(seen, Refusal):
            return seen
        (allocation, observation), at = seen, seen[1].at
        memory = self.ledger.recall(order, allocation, at)
        scene = self.surveyor.survey(order, at) if self.surveyor and order.intent in _MOVES else None
        return decide(order, observation, allocation, memory, self.config.limits, scene)

    def record(self, order: Order, plan: Plan) -> list[StepRecord]:
        """Write a plan down and tell the owner of it; return its steps, none of which is begun."""
        _log.info("plan", order=order.id, alert=order.alert, container=order.target.container, reason=plan.reason)
        self._tell(order, "Plan", plan.reason, warning=False)
        target = plan.target or order.target
        return self.ledger.record_plan(order.id, target, plan, Origin.ORDER, self.clock())

    def carry_out(self, order: Order, records: Sequence[StepRecord]) -> None:
        """Take the steps, each where the order's cause still holds, or only write them down in a dry run."""
        refusal = None
        if self.config.dry_run:
            self.carrier.pretend(records)
        else:
            refusal = self.carrier.carry_out(records, lambda: self.truth.refusal(order))
        if refusal is None:
            self.ledger.hold_order(order.id, self.clock() + self.config.limits.cooldown, 0)
        else:
            self.refuse(order, refusal)

    def refuse(self, order: Order, refusal: Refusal) -> None:
        """Write down and tell why nothing is done, and let the order be tried again if that may help."""
        if self.ledger.record_refusal(order.id, refusal, self.clock()):
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
            self.ledger.close_order(order.id, OrderState.REFUSED, self.clock())
        elif refusal.reason == DEFERRED:
            self.put_off(order)
        else:
            self.ledger.hold_order(order.id, self.clock() + self._retry, 0)

    def put_off(self, order: Order) -> None:
        """Try the order again ever later."""
        delay = min(self._retry * _growth(order), _LONGEST_DELAY)
        self.ledger.hold_order(order.id, self.clock() + delay, order.attempts + 1)

    @property
    def _retry(self) -> float:
        return self.config.prometheus.scrape_interval

    def _tell(self, order: Order, reason: str, text: str, warning: bool) -> None:
        if not self.config.dry_run:
            word = "".join(part[:1].upper() + part[1:] for part in reason.split("_"))
            self.platform.tell(order.target, Notice(self.clock(), order.intent, word, text, warning))

    def _waited(self, order: Order) -> bool:
        """Tell whether an order was put off for as long as one may be: the sum of the delays so far."""
        return bool(self._retry * (_growth(order) - 1) >= self.config.limits.deferral_deadline)


def _growth(order: Order) -> int:
    return int(2 ** min(order.attempts, _MOST_DOUBLINGS))
