"""The ledger in one SQLite file: each method is one transaction over the functions of this package."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from actuator.ledger import effects, intake, journal, moves, orders, recall, views
from actuator.ledger.database import Database, Unseen, Witness
from actuator.ledger.locks import acting_lock
from actuator.ledger.retention import prune
from actuator.model.decisions import Plan, Refusal, StepOutcome, StepState
from actuator.model.knowledge import Allocation, Memory, OwnerLimits, Reservation
from actuator.model.orders import Order, OrderState, Target
from actuator.placement import Move
from actuator.records import Delivery, Held, Migration, Origin, Reading, StepRecord, ThrottleRecord


class SqliteLedger:
    """Implements ``ledger.protocol.Ledger``, whose words describe the methods."""

    def __init__(self, path: Path, witness: Witness | None = None) -> None:
        self._database = Database(path, witness or Unseen())
        self._write, self._read = self._database.write, self._database.read

    @property
    def writable(self) -> bool:
        """See Ledger."""
        return self._database.writable

    def take_over(self) -> None:
        """See Ledger; nobody else has written what is here."""

    def record_delivery(self, delivery: Delivery, readings: Sequence[Reading], at: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            intake.record_delivery(connection, delivery, readings, at)

    def due_orders(self, at: float) -> list[Order]:
        """See Ledger."""
        with self._read() as connection:
            return orders.due_orders(connection, at)

    def order(self, order_id: int) -> Order | None:
        """See Ledger."""
        with self._read() as connection:
            return orders.find_order(connection, order_id)

    def open_restore(self, target: Target, at: float) -> int:
        """See Ledger."""
        with self._write() as connection:
            return orders.open_restore(connection, target, at)

    def hold_order(self, order_id: int, until: float, attempts: int) -> None:
        """See Ledger."""
        with self._write() as connection:
            orders.hold_order(connection, order_id, until, attempts)

    def close_order(self, order_id: int, state: OrderState, at: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            orders.close_order(connection, order_id, state, at)

    def expire_orders(self, refreshed_before: float, at: float) -> int:
        """See Ledger."""
        with self._write() as connection:
            return orders.expire_orders(connection, refreshed_before, at)

    def recall(self, order: Order, allocation: Allocation | None, at: float) -> Memory:
        """See Ledger."""
        with self._read() as connection:
            return recall.recall(connection, order, allocation, at)

    def owner_limits(self, target: Target, allocation: Allocation) -> OwnerLimits | None:
        """See Ledger."""
        with self._read() as connection:
            return recall.owner_limits(connection, target, allocation)

    def record_refusal(self, order_id: int, refusal: Refusal, at: float) -> bool:
        """See Ledger."""
        with self._write() as connection:
            return journal.record_refusal(connection, order_id, refusal, at)

    def record_plan(self, order_id: int, target: Target, plan: Plan, origin: Origin, at: float) -> list[StepRecord]:
        """See Ledger."""
        with self._write() as connection:
            return journal.record_plan(connection, order_id, target, plan, origin, at)

    def begin_step(self, record: StepRecord, at: float) -> bool:
        """See Ledger."""
        with self._write() as connection:
            effects.remember_owner(connection, record)
            return journal.begin_step(connection, record.id, at)

    def begin_again(self, record: StepRecord) -> None:
        """See Ledger."""
        with self._write() as connection:
            journal.begin_again(connection, record.id)

    def end_step(self, record: StepRecord, outcome: StepOutcome, at: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            journal.end_step(connection, record, outcome, at)
            effects.apply_effects(connection, record, outcome.state, at)
            if record.step.kind == "set_limit" and outcome.state is StepState.DONE:
                for rest in journal.end_ledger_steps(connection, record, at):
                    effects.apply_effects(connection, rest, StepState.DONE, at)

    def pretend(self, records: Sequence[StepRecord], at: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            for record in records:
                journal.end_step(connection, record, StepOutcome(StepState.DRY_RUN), at)

    def cancel_planned(self, order_id: int, at: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            journal.cancel_planned(connection, order_id, at)

    def interrupted(self) -> list[StepRecord]:
        """See Ledger."""
        with self._read() as connection:
            return journal.steps_in(connection, StepState.STARTED)

    def planned(self) -> list[StepRecord]:
        """See Ledger."""
        with self._read() as connection:
            return journal.steps_in(connection, StepState.PLANNED)

    def migrations(self) -> list[Migration]:
        """See Ledger."""
        with self._read() as connection:
            return moves.migrations(connection)

    def uncleared(self) -> list[Migration]:
        """See Ledger."""
        with self._read() as connection:
            return moves.uncleared(connection)

    def throttled_since(self) -> Mapping[Target, float]:
        """See Ledger."""
        with self._read() as connection:
            return moves.throttled_since(connection)

    def moves(self, since: float) -> list[Move]:
        """See Ledger."""
        with self._read() as connection:
            return moves.moves(connection, since)

    def note_allocation(self, target: Target, allocation: Allocation, at: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            effects.note_allocation(connection, target, allocation, at)

    def forget_container(self, target: Target) -> None:
        """See Ledger."""
        with self._write() as connection:
            effects.forget_container(connection, target)

    def reservations(self) -> list[tuple[int, Reservation]]:
        """See Ledger."""
        with self._read() as connection:
            return effects.reservations(connection)

    def throttles(self) -> list[ThrottleRecord]:
        """See Ledger."""
        with self._read() as connection:
            return effects.throttles(connection)

    def set_calm(self, target: Target, resource: str, since: float | None) -> None:
        """See Ledger."""
        with self._write() as connection:
            effects.set_calm(connection, target, resource, since)

    def end_throttle(self, target: Target, resource: str, at: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            effects.end_throttle(connection, target, resource, at)

    def held(self) -> list[Held]:
        """See Ledger."""
        with self._read() as connection:
            return effects.held(connection)

    def get(self, key: str) -> str | None:
        """See Ledger."""
        with self._read() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row["value"])

    def put(self, key: str, value: str) -> None:
        """See Ledger."""
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def actions(self, limit: int) -> list[dict[str, Any]]:
        """See Ledger."""
        with self._read() as connection:
            return views.actions(connection, limit)

    def action(self, order_id: int) -> dict[str, Any] | None:
        """See Ledger."""
        with self._read() as connection:
            return views.action(connection, order_id)

    def counters(self) -> dict[tuple[str, str, str], int]:
        """See Ledger."""
        with self._read() as connection:
            return views.counters(connection)

    def orders_by_state(self) -> dict[str, int]:
        """See Ledger."""
        with self._read() as connection:
            return views.orders_by_state(connection)

    def prune(self, before: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            prune(connection, before)

    def acting(self, target: Target, wait: bool = False) -> AbstractContextManager[bool]:
        """See Ledger."""
        return acting_lock(self._database.path, target, wait)

    def close(self) -> None:
        """Close the file."""
        self._database.close()
