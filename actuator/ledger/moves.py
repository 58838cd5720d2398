"""Moves to another node: those underway, and those made."""

import sqlite3
from itertools import groupby

from actuator.ledger.rows import step_of, target_of
from actuator.model.orders import Target
from actuator.placement import Move
from actuator.records import Migration


def migrations(connection: sqlite3.Connection) -> list[Migration]:
    """Return the moves that were begun and are not yet cleared, oldest first."""
    return [each for each in uncleared(connection) if each.steps["place"].starts > 0]


def uncleared(connection: sqlite3.Connection) -> list[Migration]:
    """Return the moves that were planned, begun or not, and are neither cleared nor cancelled, oldest first."""
    rows = connection.execute(
        "SELECT * FROM steps WHERE verdict_id IN"
        " (SELECT verdict_id FROM steps WHERE kind = 'clear' AND state IN ('planned', 'started'))"
        " ORDER BY verdict_id, id"
    )
    found = []
    for _, group in groupby(rows.fetchall(), key=lambda row: row["verdict_id"]):
        records = [step_of(row) for row in group]
        found.append(Migration(records[0].order_id, {record.step.kind: record for record in records}))
    return found


def moves(connection: sqlite3.Connection, since: float) -> list[Move]:
    """Return the evictions made since epoch seconds ``since``; one that a crash interrupted may have been made."""
    rows = connection.execute(
        "SELECT evict.*, steer.uid AS controller FROM steps AS evict JOIN steps AS steer"
        " ON steer.verdict_id = evict.verdict_id AND steer.kind = 'steer'"
        " WHERE evict.kind = 'evict' AND evict.state IN ('started', 'done') AND evict.started_at >= ?",
        (since,),
    )
    return [Move(row["controller"], target_of(row).node, row["node"], row["started_at"]) for row in rows]


def throttled_since(connection: sqlite3.Connection) -> dict[Target, float]:
    """Return when each throttle in force was last set or tightened; 0 where no step tells."""
    rows = connection.execute(
        "SELECT throttles.target, coalesce(max(steps.finished_at), 0) AS at FROM throttles LEFT JOIN steps"
        " ON steps.target = throttles.target AND steps.kind = 'set_limit' AND steps.origin = 'order'"
        " WHERE throttles.ended_at IS NULL GROUP BY throttles.target"
    )
    return {target_of(row): row["at"] for row in rows}
