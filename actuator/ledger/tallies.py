"""What steps came to, in counters that outlive restarts and retention."""

import sqlite3

from actuator.ledger.journal import count, intent_of
from actuator.model.orders import Intent
from actuator.records import Origin, StepRecord

RESERVATIONS = "reservations"
RECLAIMED = "reclaimed"
ENDS = ("activated", "released", "expired", "preempted", "gone")
"""What becomes of a reservation."""
PER_UNIT = {"cpu": 1000, "memory": 1}
"""Counters are whole numbers: thousandths of cores, and bytes."""


def count_end(connection: sqlite3.Connection, record: StepRecord, reservations: int) -> None:
    """Count what became of reservations that a step has ended."""
    if record.origin is Origin.ORDER:
        end = "activated" if intent_of(connection, record.order_id) == Intent.ACTIVATE else "released"
    else:
        end = "preempted" if record.origin is Origin.PREEMPTED else "expired"
    count(connection, RESERVATIONS, end, by=reservations)


def count_gone(connection: sqlite3.Connection, reservations: int) -> None:
    """Count reservations of containers that do not exist any more."""
    count(connection, RESERVATIONS, "gone", by=reservations)


def count_reclaimed(connection: sqlite3.Connection, record: StepRecord) -> None:
    """Count what a reclaim took off a limit."""
    step = record.step
    if record.origin is Origin.ORDER and intent_of(connection, record.order_id) == Intent.RECLAIM:
        taken = (step.before or 0.0) - (step.after or 0.0)
        count(connection, RECLAIMED, step.resource, by=round(taken * PER_UNIT[step.resource]))
