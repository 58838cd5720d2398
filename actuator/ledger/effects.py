"""What steps leave behind: reservations, throttles, and limits held away from what the owner set."""

import sqlite3
from collections.abc import Mapping
from math import inf

from actuator.ledger import tallies
from actuator.ledger.rows import held_of, key, reservation_of, throttle_of
from actuator.model.decisions import StepState
from actuator.model.knowledge import Allocation, OwnerLimits, Reservation
from actuator.model.orders import Target
from actuator.records import Held, Origin, StepRecord, ThrottleRecord
from actuator.tolerance import same_limit

_RELAPSE_WINDOW = 3600.0


def remember_owner(connection: sqlite3.Connection, record: StepRecord) -> None:
    """Keep what the owner had set, before this system touches the limit for the first time."""
    if record.step.kind == "set_limit":
        connection.execute(
            "INSERT INTO held (target, resource, owner_limit, current, certain, raises, leak_raises, order_id)"
            " VALUES (?, ?, ?, ?, 0, 0, 0, ?) ON CONFLICT (target, resource) DO NOTHING",
            (key(record.target), record.step.resource, record.step.before, record.step.before, record.order_id),
        )


def apply_effects(connection: sqlite3.Connection, record: StepRecord, state: StepState, at: float) -> None:
    """Bring the ledger in line with a step that has ended."""
    where = (key(record.target), record.step.resource)
    if state not in (StepState.DONE, StepState.REVERTED, StepState.FAILED):
        return
    if record.step.kind == "set_limit":
        _limit_set(connection, record, state, at)
    elif state is StepState.DONE and record.step.kind == "reserve":
        connection.execute(
            "INSERT OR REPLACE INTO reservations (target, resource, amount, due_at, expires_at, order_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*where, record.step.after, record.step.due_at or at, record.step.expires_at or inf, record.order_id),
        )
    elif state is StepState.DONE and record.step.kind == "release":
        ended = connection.execute("DELETE FROM reservations WHERE target = ? AND resource = ?", where).rowcount
        tallies.count_end(connection, record, ended)


def _limit_set(connection: sqlite3.Connection, record: StepRecord, state: StepState, at: float) -> None:
    where = (key(record.target), record.step.resource)
    if state is not StepState.DONE:
        # After a failure nobody knows what is in force; the next look must not take it for the owner's wish.
        connection.execute(
            "UPDATE held SET certain = ? WHERE target = ? AND resource = ?", (state is StepState.REVERTED, *where)
        )
        # It may be in force all the same: a throttle must end also where its step was not seen to be done.
        if state is StepState.FAILED and record.step.expires_at is not None and _active(connection, where) is None:
            _keep_throttle(connection, record, at)
        return
    connection.execute(
        "UPDATE held SET current = ?, certain = 1 WHERE target = ? AND resource = ?", (record.step.after, *where)
    )
    if record.step.expires_at is None:
        _end_throttle(connection, where, at)
        _count_raise(connection, record)
        tallies.count_reclaimed(connection, record)
    else:
        _keep_throttle(connection, record, at)


def _count_raise(connection: sqlite3.Connection, record: StepRecord) -> None:
    where = (key(record.target), record.step.resource)
    row = connection.execute("SELECT * FROM held WHERE target = ? AND resource = ?", where).fetchone()
    step = record.step
    if same_limit(step.resource, step.after, row["owner_limit"]):
        connection.execute("UPDATE held SET raises = 0 WHERE target = ? AND resource = ?", where)
    elif record.origin is Origin.ORDER and (step.after or inf) > (step.before or inf):
        connection.execute(
            "UPDATE held SET raises = raises + 1, leak_raises = leak_raises + ? WHERE target = ? AND resource = ?",
            (step.leak, *where),
        )


def _active(connection: sqlite3.Connection, where: tuple[str, str]) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM throttles WHERE target = ? AND resource = ? AND ended_at IS NULL", where
    ).fetchone()
    return row


def _keep_throttle(connection: sqlite3.Connection, record: StepRecord, at: float) -> None:
    step, where = record.step, (key(record.target), record.step.resource)
    old = connection.execute("SELECT * FROM throttles WHERE target = ? AND resource = ?", where).fetchone()
    if record.origin is Origin.CALM:
        connection.execute(
            'UPDATE throttles SET "limit" = ?, loosened = 1, calm_since = ? WHERE target = ? AND resource = ?',
            (step.after, at, *where),
        )
        return
    relapses = _relapses(old, at)
    before = old["before"] if old is not None and old["ended_at"] is None else step.before
    connection.execute(
        'INSERT OR REPLACE INTO throttles (target, resource, before, "limit", expires_at, relapses, loosened, order_id)'
        " VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
        (*where, before, step.after, step.expires_at, relapses, record.order_id),
    )


def relapses(connection: sqlite3.Connection, target: Target, resource: str, at: float) -> int:
    """Return what a throttle set now would have in relapses."""
    where = (key(target), resource)
    old = connection.execute("SELECT * FROM throttles WHERE target = ? AND resource = ?", where).fetchone()
    return _relapses(old, at)


def _relapses(old: sqlite3.Row | None, at: float) -> int:
    if old is None or (old["ended_at"] is not None and at - old["ended_at"] >= _RELAPSE_WINDOW):
        return 0
    came_back = old["ended_at"] is not None or old["loosened"]
    return int(old["relapses"]) + (1 if came_back else 0)


def _end_throttle(connection: sqlite3.Connection, where: tuple[str, str], at: float) -> None:
    connection.execute(
        "UPDATE throttles SET ended_at = ? WHERE target = ? AND resource = ? AND ended_at IS NULL", (at, *where)
    )


def end_throttle(connection: sqlite3.Connection, target: Target, resource: str, at: float) -> None:
    """Forget a throttle that someone else has lifted."""
    _end_throttle(connection, (key(target), resource), at)


def set_calm(connection: sqlite3.Connection, target: Target, resource: str, since: float | None) -> None:
    """Note since when a throttle's cause is gone; None while it is there."""
    connection.execute(
        "UPDATE throttles SET calm_since = ? WHERE target = ? AND resource = ?", (since, key(target), resource)
    )


def note_allocation(connection: sqlite3.Connection, target: Target, allocation: Allocation, at: float) -> None:
    """Take a limit that differs from what this system left for the owner's new wish."""
    found = {"cpu": allocation.cpu_limit, "memory": allocation.memory_limit}
    if allocation.owner is not None and allocation.owner.target.container_id == target.container_id:
        _take_over(connection, target)
        _take_at_its_word(connection, target, allocation.owner, found)
    rows = connection.execute("SELECT * FROM held WHERE target = ?", (key(target),)).fetchall()
    for row in rows:
        limit, where = found[row["resource"]], (key(target), row["resource"])
        if same_limit(row["resource"], row["current"], limit) and row["certain"]:
            continue
        connection.execute(
            "UPDATE held SET current = ?, certain = 1 WHERE target = ? AND resource = ?", (limit, *where)
        )
        if row["certain"]:
            connection.execute(
                "UPDATE held SET owner_limit = ?, raises = 0, leak_raises = 0 WHERE target = ? AND resource = ?",
                (limit, *where),
            )
            _end_throttle(connection, where, at)
        else:
            _settle_throttle(connection, where, limit, at)


def _take_over(connection: sqlite3.Connection, target: Target) -> None:
    """Limits belong to a pod and outlive its containers: what is kept of one before a restart is the next one's."""
    here = (key(target), target.namespace, target.pod, target.container)
    for table in ("held", "throttles", "reservations"):
        connection.execute(
            f"UPDATE OR IGNORE {table} SET target = ?1 WHERE target != ?1"  # noqa: S608 - of the three names above
            " AND json_extract(target, '$[1]') = ?2 AND json_extract(target, '$[2]') = ?3"
            " AND json_extract(target, '$[3]') = ?4",
            here,
        )


def _take_at_its_word(
    connection: sqlite3.Connection, target: Target, owner: OwnerLimits, found: Mapping[str, float | None]
) -> None:
    """A ledger that knows nothing of a container learns from the platform what was there before a change."""
    if connection.execute("SELECT 1 FROM held WHERE target = ?", (key(target),)).fetchone():
        return
    for resource, given in (("cpu", owner.cpu_limit), ("memory", owner.memory_limit)):
        if not same_limit(resource, given, found[resource]):
            connection.execute(
                "INSERT INTO held (target, resource, owner_limit, current, certain, raises, leak_raises, order_id)"
                " VALUES (?, ?, ?, ?, 1, 0, 0, 0)",
                (key(target), resource, given, found[resource]),
            )


def _settle_throttle(connection: sqlite3.Connection, where: tuple[str, str], limit: float | None, at: float) -> None:
    """After a failed step: a limit in force under the one before the throttle is the throttle's, whatever it is."""
    throttle = _active(connection, where)
    if throttle is None:
        return
    if limit is None or same_limit(where[1], limit, throttle["before"]) or limit > (throttle["before"] or inf):
        _end_throttle(connection, where, at)
    else:
        connection.execute(
            'UPDATE throttles SET "limit" = ? WHERE target = ? AND resource = ? AND ended_at IS NULL', (limit, *where)
        )


def forget_container(connection: sqlite3.Connection, target: Target) -> None:
    """Drop what is kept of a container that is gone."""
    ended = connection.execute("DELETE FROM reservations WHERE target = ?", (key(target),)).rowcount
    tallies.count_gone(connection, ended)
    connection.execute("DELETE FROM throttles WHERE target = ?", (key(target),))
    connection.execute("DELETE FROM held WHERE target = ?", (key(target),))


def reservations(connection: sqlite3.Connection) -> list[tuple[int, Reservation]]:
    """Return every reservation with the order that made it."""
    rows = connection.execute("SELECT * FROM reservations ORDER BY order_id")
    return [(row["order_id"], reservation_of(row)) for row in rows]


def throttles(connection: sqlite3.Connection) -> list[ThrottleRecord]:
    """Return the throttles in force."""
    return [throttle_of(row) for row in connection.execute("SELECT * FROM throttles WHERE ended_at IS NULL")]


def held(connection: sqlite3.Connection) -> list[Held]:
    """Return every limit that this system has touched and whose container has not gone."""
    return [held_of(row) for row in connection.execute("SELECT * FROM held ORDER BY target, resource")]
