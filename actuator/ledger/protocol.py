"""What the actuator asks of a ledger, wherever it is kept. Every method may raise LedgerError."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from actuator.model.decisions import Plan, Refusal, StepOutcome
from actuator.model.knowledge import Allocation, Memory, OwnerLimits, Reservation
from actuator.model.orders import Order, OrderState, Target
from actuator.placement import Move
from actuator.records import Delivery, Held, Migration, Origin, Reading, StepRecord, ThrottleRecord


class Ledger(Protocol):
    """Each writing method is one transaction that is durable when it returns. Times are epoch seconds."""

    @property
    def writable(self) -> bool:
        """Return whether the last change is on disk."""

    def take_over(self) -> None:
        """Know what an earlier leader left, and nothing else of what is underway; called when leadership begins."""

    def record_delivery(self, delivery: Delivery, readings: Sequence[Reading], at: float) -> None:
        """Record a delivery and the orders that it opens, refreshes, resolves or is refused as."""

    def due_orders(self, at: float) -> list[Order]:
        """Return open orders whose time has come, in the order in which to serve them."""

    def order(self, order_id: int) -> Order | None:
        """Return the order; None where there is none, or none with a known intent."""

    def open_restore(self, target: Target, at: float) -> int:
        """Record that a person wants the owner's limits back; return the order's number."""

    def hold_order(self, order_id: int, until: float, attempts: int) -> None:
        """Leave the order alone until ``until``."""

    def close_order(self, order_id: int, state: OrderState, at: float) -> None:
        """Close an open order and cancel what it has not begun."""

    def expire_orders(self, refreshed_before: float, at: float) -> int:
        """Close open orders that nobody refreshed since, and take alerts unheard since for over; return how many."""

    def recall(self, order: Order, allocation: Allocation | None, at: float) -> Memory:
        """Return all that bears on a decision about the order."""

    def owner_limits(self, target: Target, allocation: Allocation) -> OwnerLimits | None:
        """Return what the owner had set; None where nothing was touched."""

    def record_refusal(self, order_id: int, refusal: Refusal, at: float) -> bool:
        """Record why nothing is done; False where the last verdict said the same."""

    def record_plan(self, order_id: int, target: Target, plan: Plan, origin: Origin, at: float) -> list[StepRecord]:
        """Record a plan and its steps."""

    def begin_step(self, record: StepRecord, at: float) -> bool:
        """Record that the step is about to be done; False where it was cancelled meanwhile."""

    def begin_again(self, record: StepRecord) -> None:
        """Record that a step which a crash interrupted is tried once more."""

    def end_step(self, record: StepRecord, outcome: StepOutcome, at: float) -> None:
        """Record what became of the step and its effects; what a plan gives up for a limit ends with it."""

    def pretend(self, records: Sequence[StepRecord], at: float) -> None:
        """Record that the steps would have been taken."""

    def cancel_planned(self, order_id: int, at: float) -> None:
        """Cancel the order's steps that have not begun."""

    def interrupted(self) -> list[StepRecord]:
        """Return the steps that were begun and not ended."""

    def planned(self) -> list[StepRecord]:
        """Return the steps that were not begun."""

    def migrations(self) -> list[Migration]:
        """Return the moves that were begun and are not yet cleared; ``interrupted`` and ``planned`` leave them out."""

    def uncleared(self) -> list[Migration]:
        """Return ``migrations``, and the moves that are planned and about to be begun by another thread."""

    def throttled_since(self) -> Mapping[Target, float]:
        """Return when each throttle in force was last set or tightened; 0 where that is not known."""

    def moves(self, since: float) -> list[Move]:
        """Return the evictions made since."""

    def note_allocation(self, target: Target, allocation: Allocation, at: float) -> None:
        """Compare what is in force with what this system left, and take a difference for the owner's new wish."""

    def forget_container(self, target: Target) -> None:
        """Drop what is kept of a container that is gone."""

    def reservations(self) -> list[tuple[int, Reservation]]:
        """Return every reservation with the order that made it."""

    def throttles(self) -> list[ThrottleRecord]:
        """Return the throttles in force."""

    def set_calm(self, target: Target, resource: str, since: float | None) -> None:
        """Note since when a throttle's cause is gone; None while it is there."""

    def end_throttle(self, target: Target, resource: str, at: float) -> None:
        """Forget a throttle that someone else has lifted."""

    def held(self) -> list[Held]:
        """Return every limit that this system has changed."""

    def get(self, key: str) -> str | None:
        """Return a remembered word."""

    def put(self, key: str, value: str) -> None:
        """Remember a word."""

    def actions(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest orders with their alerts, verdicts, steps and outcome."""

    def action(self, order_id: int) -> dict[str, Any] | None:
        """Return one of ``actions``."""

    def counters(self) -> dict[tuple[str, str, str], int]:
        """Return each lasting counter by (name, label, outcome)."""

    def orders_by_state(self) -> dict[str, int]:
        """Return how many orders there are in each state that occurs."""

    def prune(self, before: float) -> None:
        """Forget what was closed before."""

    def acting(self, target: Target, wait: bool = False) -> AbstractContextManager[bool]:
        """Hold the right to touch a container, which one thread of all processes has; tell whether it was to be had.

        With ``wait`` it always is. Containers of one pod share it.
        """
