"""Between rows and nouns."""

import json
import sqlite3
from dataclasses import astuple

from actuator.model.decisions import Step, StepState
from actuator.model.knowledge import Reservation, Throttle
from actuator.model.orders import Intent, Order, OrderState, Target
from actuator.records import Held, Origin, StepRecord, ThrottleRecord


def key(target: Target) -> str:
    """Return the text that stands for a container in every table."""
    return json.dumps(astuple(target), ensure_ascii=False)


def target_of(row: sqlite3.Row) -> Target:
    """Return the container of a row."""
    return Target(*json.loads(row["target"]))


def order_of(row: sqlite3.Row) -> Order:
    """Return an order whose intent is known; raise ValueError for a refused alert's unknown intent."""
    return Order(
        id=row["id"],
        target=target_of(row),
        resource=row["resource"],
        intent=Intent(row["intent"]),
        alert=row["alert"],
        severity=row["severity"],
        reason=row["reason"],
        state=OrderState(row["state"]),
        opened_at=row["opened_at"],
        refreshed_at=row["refreshed_at"],
        attempts=row["attempts"],
        not_before=row["not_before"],
    )


def step_of(row: sqlite3.Row) -> StepRecord:
    """Return a step with its place in the ledger."""
    step = Step(
        kind=row["kind"],
        resource=row["resource"],
        before=row["before"],
        after=row["after"],
        expires_at=row["expires_at"],
        due_at=row["due_at"],
        leak=bool(row["leak"]),
        node=row["node"],
        uid=row["uid"],
    )
    state, origin = StepState(row["state"]), Origin(row["origin"])
    return StepRecord(row["id"], row["order_id"], target_of(row), step, state, origin, row["starts"], row["after_raw"])


def reservation_of(row: sqlite3.Row) -> Reservation:
    """Return a reservation."""
    return Reservation(target_of(row), row["resource"], row["amount"], row["due_at"], row["expires_at"])


def throttle_of(row: sqlite3.Row) -> ThrottleRecord:
    """Return a throttle in force."""
    throttle = Throttle(
        target_of(row), row["resource"], row["before"], row["limit"], row["expires_at"], row["relapses"]
    )
    return ThrottleRecord(throttle, row["order_id"], row["calm_since"])


def held_of(row: sqlite3.Row) -> Held:
    """Return a limit that this system has changed."""
    return Held(target_of(row), row["resource"], row["owner_limit"], row["current"], row["order_id"])
