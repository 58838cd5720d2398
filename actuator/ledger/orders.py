"""Orders: insert, pick, hold, close, expire."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from actuator.ledger import journal
from actuator.ledger.ids import next_id
from actuator.ledger.rows import key, order_of
from actuator.model.orders import Intent, Order, OrderState, Target

PRECEDENCE = tuple(Intent)
_SEVERITY: Mapping[str, int] = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class NewOrder:
    """An order before it has a number; the intent may be one that nobody knows."""

    target: Target
    resource: str
    intent: str
    alert: str
    severity: str
    reason: str
    state: OrderState


def insert_order(connection: sqlite3.Connection, new: NewOrder, at: float) -> int:
    """Record the order; return its number."""
    closed_at = None if new.state is OrderState.OPEN else at
    order_id = next_id(connection, "orders")
    connection.execute(
        "INSERT INTO orders (id, target, resource, intent, alert, severity, reason, state, opened_at, refreshed_at,"
        " closed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order_id,
            key(new.target),
            new.resource,
            new.intent,
            new.alert,
            new.severity,
            new.reason,
            new.state,
            at,
            at,
            closed_at,
        ),
    )
    return order_id


def state_of(connection: sqlite3.Connection, order_id: int) -> OrderState | None:
    """Return the order's state; None where retention has forgotten it."""
    row = connection.execute("SELECT state FROM orders WHERE id = ?", (order_id,)).fetchone()
    return None if row is None else OrderState(row["state"])


def find_order(connection: sqlite3.Connection, order_id: int) -> Order | None:
    """Return the order; None where there is none or its intent is unknown."""
    row = connection.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    return order_of(row) if row is not None and row["intent"] in PRECEDENCE else None


def due_orders(connection: sqlite3.Connection, at: float) -> list[Order]:
    """Return open orders whose time has come: most severe, not yet tried, strongest intent, oldest first."""
    rows = connection.execute("SELECT * FROM orders WHERE state = 'open' AND not_before <= ?", (at,)).fetchall()
    return sorted((order_of(row) for row in rows), key=_rank)


def strongest_rival(connection: sqlite3.Connection, order: Order) -> Intent | None:
    """Return the strongest intent open on the order's container that outranks the order's own."""
    rows = connection.execute(
        "SELECT DISTINCT intent FROM orders WHERE state = 'open' AND target = ?", (key(order.target),)
    )
    strongest = min((PRECEDENCE.index(Intent(row["intent"])) for row in rows), default=len(PRECEDENCE))
    return PRECEDENCE[strongest] if strongest < PRECEDENCE.index(order.intent) else None


def hold_order(connection: sqlite3.Connection, order_id: int, until: float, attempts: int) -> None:
    """Leave the order alone until ``until``."""
    connection.execute("UPDATE orders SET not_before = ?, attempts = ? WHERE id = ?", (until, attempts, order_id))


def close_order(connection: sqlite3.Connection, order_id: int, state: OrderState, at: float) -> None:
    """Close an open order and cancel what it has not begun; a closed one stays as it is."""
    changed = connection.execute(
        "UPDATE orders SET state = ?, closed_at = ? WHERE id = ? AND state = 'open'", (state, at, order_id)
    ).rowcount
    if changed:
        journal.cancel_planned(connection, order_id, at)


def expire_orders(connection: sqlite3.Connection, refreshed_before: float, at: float) -> int:
    """Close open orders that nobody refreshed; return how many."""
    # The word that an alert is over may have been lost; one so long unheard must not keep another's order open.
    connection.execute(
        "UPDATE alerts SET firing = 0 WHERE firing AND last_seen < ?"
        " AND order_id IN (SELECT id FROM orders WHERE state = 'open')",
        (refreshed_before,),
    )
    rows = connection.execute(
        "SELECT id FROM orders WHERE state = 'open' AND refreshed_at < ?", (refreshed_before,)
    ).fetchall()
    for row in rows:
        close_order(connection, row["id"], OrderState.EXPIRED, at)
    return len(rows)


def severity_rank(severity: str) -> int:
    """Return 0 for the most severe; an unknown severity ranks last."""
    return _SEVERITY.get(severity.lower(), len(_SEVERITY))


def _rank(order: Order) -> tuple[int, bool, int, int]:
    """Of a thousand orders those refused for now would else be tried again before the last had a first try."""
    return severity_rank(order.severity), order.not_before > 0, PRECEDENCE.index(order.intent), order.id


def open_restore(connection: sqlite3.Connection, target: Target, at: float) -> int:
    """Record a person's wish to have the owner's limits back. It is never open: the worker has no part in it."""
    new = NewOrder(target, "", journal.RESTORE, "", "", "asked for by hand", OrderState.RESOLVED)
    return insert_order(connection, new, at)
