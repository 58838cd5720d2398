"""Everything remembered that bears on a decision about one order."""

import sqlite3

from actuator.ledger.effects import relapses
from actuator.ledger.orders import strongest_rival
from actuator.ledger.rows import key, reservation_of, throttle_of
from actuator.model.knowledge import Allocation, Memory, OwnerLimits, Reservation, Throttle
from actuator.model.orders import Order, Target

_HOUR = 3600.0
_THROTTLED = "cpu"
"""The resource of every throttle, whatever the trouble is called that it relieves."""


def recall(connection: sqlite3.Connection, order: Order, allocation: Allocation | None, at: float) -> Memory:
    """Return the memory for ``order`` at epoch seconds ``at``."""
    held = connection.execute(
        "SELECT * FROM held WHERE target = ? AND resource = ?", (key(order.target), order.resource)
    ).fetchone()
    return Memory(
        owner=owner_limits(connection, order.target, allocation),
        reservation=_reservation(connection, order),
        throttle=_throttle(connection, order.target),
        relapses=relapses(connection, order.target, _THROTTLED, at),
        raises=held["raises"] if held else 0,
        leak_raises=held["leak_raises"] if held else 0,
        last_action_at=_last_action(connection, order.target),
        stronger_open=strongest_rival(connection, order),
        actions_last_hour=_actions_since(connection, at - _HOUR),
        reserved_on_host=_reserved_beside(connection, order),
    )


def owner_limits(connection: sqlite3.Connection, target: Target, allocation: Allocation | None) -> OwnerLimits | None:
    """Return what the owner had set; a limit never touched is as it stands; None where nothing was touched."""
    rows = connection.execute("SELECT resource, owner_limit FROM held WHERE target = ?", (key(target),)).fetchall()
    if not rows:
        return None
    limits = {row["resource"]: row["owner_limit"] for row in rows}
    cpu = allocation.cpu_limit if allocation else None
    memory = allocation.memory_limit if allocation else None
    return OwnerLimits(target, limits.get("cpu", cpu), limits.get("memory", memory))


def _reservation(connection: sqlite3.Connection, order: Order) -> Reservation | None:
    row = connection.execute(
        "SELECT * FROM reservations WHERE target = ? AND resource = ?", (key(order.target), order.resource)
    ).fetchone()
    return reservation_of(row) if row else None


def _throttle(connection: sqlite3.Connection, target: Target) -> Throttle | None:
    row = connection.execute("SELECT * FROM throttles WHERE target = ? AND ended_at IS NULL", (key(target),)).fetchone()
    return throttle_of(row).throttle if row else None


def _last_action(connection: sqlite3.Connection, target: Target) -> float | None:
    row = connection.execute("SELECT max(at) AS at FROM actions WHERE target = ?", (key(target),)).fetchone()
    return None if row["at"] is None else float(row["at"])


def _actions_since(connection: sqlite3.Connection, since: float) -> int:
    """What is planned counts already: another thread is about to do it."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM actions WHERE at > ?) + (SELECT count(*) FROM steps WHERE state = 'planned'"
        " AND kind IN ('set_limit', 'evict') AND origin = 'order') AS n",
        (since,),
    ).fetchone()
    return int(row["n"])


def _reserved_beside(connection: sqlite3.Connection, order: Order) -> float:
    row = connection.execute(
        "SELECT coalesce(sum(amount), 0) AS held FROM (SELECT target, resource, amount FROM reservations UNION ALL"
        " SELECT target, resource, after FROM steps WHERE kind = 'reserve' AND state IN ('planned', 'started'))"
        " WHERE resource = ? AND target != ? AND json_extract(target, '$[0]') = ?",
        (order.resource, key(order.target), order.target.node),
    ).fetchone()
    return float(row["held"])
