"""A delivery becomes orders, in one transaction."""

import json
import sqlite3
from collections.abc import Sequence

from actuator.ledger import journal
from actuator.ledger.ids import next_id
from actuator.ledger.orders import NewOrder, close_order, insert_order, severity_rank, state_of
from actuator.ledger.rows import key
from actuator.model.decisions import Refusal
from actuator.model.orders import OrderState, Target
from actuator.records import Alert, Delivery, Reading, Wish


def record_delivery(connection: sqlite3.Connection, delivery: Delivery, readings: Sequence[Reading], at: float) -> None:
    """Record the delivery, its alerts, and the orders they open, refresh, resolve or are refused as."""
    ignored = sum(reading.result is None for reading in readings)
    connection.execute(
        "INSERT INTO deliveries (received_at, receiver, group_key, alerts, ignored, truncated)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (at, delivery.receiver, delivery.group_key, len(delivery.alerts), ignored, delivery.truncated),
    )
    journal.count(connection, "deliveries")
    journal.count(connection, "truncated", by=delivery.truncated)
    for reading in readings:
        _record_alert(connection, reading, at)


def _record_alert(connection: sqlite3.Connection, reading: Reading, at: float) -> None:
    alert = reading.alert
    alert_id, order_id = _seen(connection, alert, at)
    match reading.result:
        case Wish() as wish if alert.firing:
            order_id = _open_or_refresh(connection, alert, wish, order_id, at)
        case Wish():
            journal.count(connection, "alerts", "resolved")
        case Refusal() as refusal if order_id is None and alert.firing:
            order_id = _refuse(connection, alert, refusal, at)
        case None:
            journal.count(connection, "alerts", "ignored")
    connection.execute("UPDATE alerts SET order_id = ? WHERE id = ?", (order_id, alert_id))
    if order_id is not None and not alert.firing:
        _resolve(connection, order_id, at)


def _seen(connection: sqlite3.Connection, alert: Alert, at: float) -> tuple[int, int | None]:
    row = connection.execute(
        "INSERT INTO alerts (id, fingerprint, starts_at, name, labels, annotations, firing, first_seen, last_seen)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint, starts_at) DO UPDATE SET"
        " firing = excluded.firing, annotations = excluded.annotations, last_seen = excluded.last_seen,"
        " deliveries = deliveries + 1 RETURNING id, order_id",
        (
            next_id(connection, "alerts"),
            alert.fingerprint,
            alert.starts_at,
            alert.name,
            json.dumps(dict(alert.labels), sort_keys=True),
            json.dumps(dict(alert.annotations), sort_keys=True),
            alert.firing,
            at,
            at,
        ),
    ).fetchone()
    return row["id"], row["order_id"]


def _open_or_refresh(connection: sqlite3.Connection, alert: Alert, wish: Wish, order_id: int | None, at: float) -> int:
    row = connection.execute(
        "SELECT id, alert, severity FROM orders WHERE state = 'open' AND target = ? AND resource = ? AND intent = ?",
        (key(wish.target), wish.resource, wish.intent),
    ).fetchone()
    if row is not None:
        _refresh(connection, row, alert, wish, at)
        return int(row["id"])
    if order_id is not None and state_of(connection, order_id) is OrderState.REFUSED:
        journal.count(connection, "alerts", "refreshed")
        return order_id
    journal.count(connection, "alerts", "opened")
    new = NewOrder(wish.target, wish.resource, wish.intent, alert.name, wish.severity, wish.reason, OrderState.OPEN)
    return insert_order(connection, new, at)


def _refresh(connection: sqlite3.Connection, row: sqlite3.Row, alert: Alert, wish: Wish, at: float) -> None:
    """Refresh the order; two alerts may ask for the same, and the more severe of those that fire speaks for it."""
    journal.count(connection, "alerts", "refreshed")
    connection.execute("UPDATE orders SET refreshed_at = ? WHERE id = ?", (at, row["id"]))
    firing = connection.execute(
        "SELECT 1 FROM alerts WHERE order_id = ? AND name = ? AND firing", (row["id"], row["alert"])
    ).fetchone()
    if firing is None or severity_rank(wish.severity) <= severity_rank(row["severity"]):
        connection.execute(
            "UPDATE orders SET alert = ?, severity = ?, reason = ? WHERE id = ?",
            (alert.name, wish.severity, wish.reason, row["id"]),
        )


def _refuse(connection: sqlite3.Connection, alert: Alert, refusal: Refusal, at: float) -> int:
    labels = alert.labels
    target = Target(*(labels.get(name, "") for name in ("node", "namespace", "pod", "container", "container_id")))
    severity, reason = labels.get("severity", ""), alert.annotations.get("description", "")
    resource, intent = labels.get("resource", ""), labels.get("intent", "")
    new = NewOrder(target, resource, intent, alert.name, severity, reason, OrderState.REFUSED)
    order_id = insert_order(connection, new, at)
    journal.record_refusal(connection, order_id, refusal, at)
    journal.count(connection, "alerts", "refused")
    return order_id


def _resolve(connection: sqlite3.Connection, order_id: int, at: float) -> None:
    # Another occurrence of the alert may hold the same order open.
    firing = connection.execute("SELECT 1 FROM alerts WHERE order_id = ? AND firing", (order_id,)).fetchone()
    if firing is None:
        close_order(connection, order_id, OrderState.RESOLVED, at)
