"""Verdicts and steps: what was decided on an order, and what became of it."""

import json
import sqlite3
from collections.abc import Mapping
from math import isfinite

from actuator.ledger.ids import next_id
from actuator.ledger.rows import key, step_of
from actuator.model.decisions import Plan, Refusal, Step, StepOutcome, StepState
from actuator.model.orders import Intent, Target
from actuator.records import Origin, StepRecord

RESTORE = "restore"
"""The intent of what a person gives back by hand."""
UNKNOWN = "unknown"
KNOWN_INTENTS = frozenset((*Intent, RESTORE))


def count(connection: sqlite3.Connection, name: str, label: str = "", outcome: str = "", by: int = 1) -> None:
    """Raise a counter that outlives restarts and retention."""
    connection.execute(
        "INSERT INTO counters (name, label, outcome, value) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name, label, outcome) DO UPDATE SET value = value + excluded.value",
        (name, label, outcome, by),
    )


def record_refusal(connection: sqlite3.Connection, order_id: int, refusal: Refusal, at: float) -> bool:
    """Record why nothing is done; a repetition raises a count instead, and returns False."""
    count(connection, "refusals", refusal.reason)
    _count_action(connection, order_id, "refused")
    last = connection.execute(
        "SELECT id, kind, code FROM verdicts WHERE order_id = ? ORDER BY id DESC LIMIT 1", (order_id,)
    ).fetchone()
    if last is not None and (last["kind"], last["code"]) == ("refusal", refusal.reason):
        connection.execute(
            "UPDATE verdicts SET times = times + 1, last_at = ?, reason = ? WHERE id = ?",
            (at, refusal.detail, last["id"]),
        )
        return False
    connection.execute(
        "INSERT INTO verdicts (id, order_id, origin, kind, code, reason, retryable, inputs, at, last_at)"
        " VALUES (?, ?, 'order', 'refusal', ?, ?, ?, '{}', ?, ?)",
        (next_id(connection, "verdicts"), order_id, refusal.reason, refusal.detail, refusal.retryable, at, at),
    )
    return True


def record_plan(
    connection: sqlite3.Connection, order_id: int, target: Target, plan: Plan, origin: Origin, at: float
) -> list[StepRecord]:
    """Record the plan and its steps as PLANNED; return them in order."""
    verdict_id = next_id(connection, "verdicts")
    connection.execute(
        "INSERT INTO verdicts (id, order_id, origin, kind, code, reason, retryable, inputs, at, last_at)"
        " VALUES (?, ?, ?, 'plan', 'plan', ?, 0, ?, ?, ?)",
        (verdict_id, order_id, origin, plan.reason, json.dumps(_finite(plan.inputs), default=str), at, at),
    )
    head = (verdict_id, order_id, key(target))
    return [_insert_step(connection, (*head, *_columns(step), origin, at)) for step in plan.steps]


def begin_step(connection: sqlite3.Connection, step_id: int, at: float) -> bool:
    """Mark a PLANNED step STARTED; False where it was cancelled meanwhile."""
    changed = connection.execute(
        "UPDATE steps SET state = 'started', started_at = ?, starts = starts + 1 WHERE id = ? AND state = 'planned'",
        (at, step_id),
    ).rowcount
    return changed == 1


def begin_again(connection: sqlite3.Connection, step_id: int) -> None:
    """Count one more start of a step that a crash interrupted."""
    connection.execute("UPDATE steps SET starts = starts + 1 WHERE id = ?", (step_id,))


def end_step(connection: sqlite3.Connection, record: StepRecord, outcome: StepOutcome, at: float) -> None:
    """Record what became of the step."""
    connection.execute(
        "UPDATE steps SET state = ?, kernel_file = ?, before_raw = ?, after_raw = ?, error = ?, finished_at = ?"
        " WHERE id = ?",
        (
            outcome.state,
            outcome.kernel_file,
            outcome.before_raw,
            outcome.after_raw,
            outcome.error,
            at,
            record.id,
        ),
    )
    _count_action(connection, record.order_id, outcome.state)


def end_ledger_steps(connection: sqlite3.Connection, record: StepRecord, at: float) -> list[StepRecord]:
    """End as DONE what concerns the ledger only and follows the step in its plan; return it.

    A step that an alert's end has cancelled meanwhile is among them: it belongs to a change that is in force.
    """
    rows = connection.execute(
        "UPDATE steps SET state = 'done', started_at = ?, finished_at = ?, starts = 1 WHERE kind != 'set_limit'"
        " AND state IN ('planned', 'cancelled') AND id > ?"
        " AND verdict_id = (SELECT verdict_id FROM steps WHERE id = ?) RETURNING *",
        (at, at, record.id, record.id),
    ).fetchall()
    for _ in rows:
        _count_action(connection, record.order_id, StepState.DONE)
    return [step_of(row) for row in rows]


def cancel_planned(connection: sqlite3.Connection, order_id: int, at: float) -> None:
    """Cancel the order's steps that have not begun; a move that has begun is seen through to its end."""
    rows = connection.execute(
        "UPDATE steps SET state = 'cancelled', finished_at = ? WHERE order_id = ? AND state = 'planned'"
        " AND verdict_id NOT IN (SELECT verdict_id FROM moves_begun) RETURNING id",
        (at, order_id),
    ).fetchall()
    for _ in rows:
        _count_action(connection, order_id, StepState.CANCELLED)


def steps_in(connection: sqlite3.Connection, state: StepState) -> list[StepRecord]:
    """Return the steps in ``state`` that are no part of a move underway, oldest first."""
    rows = connection.execute(
        "SELECT * FROM steps WHERE state = ? AND verdict_id NOT IN (SELECT verdict_id FROM moves_begun) ORDER BY id",
        (state,),
    )
    return [step_of(row) for row in rows]


def _insert_step(connection: sqlite3.Connection, values: tuple[object, ...]) -> StepRecord:
    row = connection.execute(
        "INSERT INTO steps (id, verdict_id, order_id, target, kind, resource, before, after, expires_at, due_at, leak,"
        " node, uid, origin, planned_at, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned') RETURNING *",
        (next_id(connection, "steps"), *values),
    ).fetchone()
    return step_of(row)


def _columns(step: Step) -> tuple[object, ...]:
    effect = step.before, step.after, step.expires_at, step.due_at, step.leak
    return step.kind, step.resource, *effect, step.node, step.uid


def _finite(value: object) -> object:
    """Return ``value`` without the infinities and NaNs that JSON has no words for."""
    if isinstance(value, Mapping):
        return {name: _finite(content) for name, content in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


def intent_of(connection: sqlite3.Connection, order_id: int) -> str:
    """Return the intent of an order, UNKNOWN where nobody knows it or retention has forgotten the order."""
    row = connection.execute("SELECT intent FROM orders WHERE id = ?", (order_id,)).fetchone()
    return row["intent"] if row is not None and row["intent"] in KNOWN_INTENTS else UNKNOWN


def _count_action(connection: sqlite3.Connection, order_id: int, outcome: str) -> None:
    count(connection, "actions", intent_of(connection, order_id), outcome)
