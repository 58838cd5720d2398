"""The ledger for people and for Prometheus: each alert, its order, the verdicts, their steps, the outcome."""

import json
import sqlite3
from typing import Any

from actuator.ledger.rows import target_of

Document = dict[str, Any]

_STEP_COLUMNS = (
    "id", "kind", "resource", "before", "after", "expires_at", "due_at", "leak", "node", "state", "kernel_file",
    "before_raw", "after_raw", "error", "planned_at", "started_at", "finished_at",
)  # fmt: skip


def actions(connection: sqlite3.Connection, limit: int) -> list[Document]:
    """Return the newest ``limit`` orders, newest first, each with all that led to it and followed from it."""
    rows = connection.execute("SELECT * FROM orders ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [_action(connection, row) for row in rows]


def action(connection: sqlite3.Connection, order_id: int) -> Document | None:
    """Return one order as ``actions`` does; None where there is none."""
    row = connection.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    return None if row is None else _action(connection, row)


def counters(connection: sqlite3.Connection) -> dict[tuple[str, str, str], int]:
    """Return each counter by (name, label, outcome)."""
    rows = connection.execute("SELECT name, label, outcome, value FROM counters")
    return {(row["name"], row["label"], row["outcome"]): row["value"] for row in rows}


def orders_by_state(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many orders there are in each state that occurs."""
    rows = connection.execute("SELECT state, count(*) AS n FROM orders GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


def _action(connection: sqlite3.Connection, row: sqlite3.Row) -> Document:
    alerts = connection.execute(
        "SELECT name, fingerprint, starts_at, firing, labels, annotations, deliveries, last_seen FROM alerts"
        " WHERE order_id = ? ORDER BY id",
        (row["id"],),
    ).fetchall()
    verdicts = connection.execute("SELECT * FROM verdicts WHERE order_id = ? ORDER BY id", (row["id"],)).fetchall()
    decisions = [_decision(connection, verdict) for verdict in verdicts]
    return {
        "id": row["id"],
        "target": target_of(row).__dict__,
        **{name: row[name] for name in ("intent", "resource", "alert", "severity", "reason", "state")},
        **{name: row[name] for name in ("opened_at", "refreshed_at", "closed_at", "attempts", "not_before")},
        "outcome": _outcome(row["state"], decisions),
        "alerts": [_alert(alert) for alert in alerts],
        "decisions": decisions,
    }


def _alert(row: sqlite3.Row) -> Document:
    document = {name: row[name] for name in ("name", "fingerprint", "starts_at", "deliveries", "last_seen")}
    labels, annotations = json.loads(row["labels"]), json.loads(row["annotations"])
    return {**document, "firing": bool(row["firing"]), "labels": labels, "annotations": annotations}


def _decision(connection: sqlite3.Connection, row: sqlite3.Row) -> Document:
    steps = connection.execute("SELECT * FROM steps WHERE verdict_id = ? ORDER BY id", (row["id"],)).fetchall()
    document = {name: row[name] for name in ("kind", "origin", "code", "reason", "at", "last_at", "times")}
    return {
        **document,
        "retryable": bool(row["retryable"]),
        "inputs": json.loads(row["inputs"]),
        "steps": [{name: step[name] for name in _STEP_COLUMNS} for step in steps],
    }


def _outcome(state: str, decisions: list[Document]) -> str:
    """Return the state of the newest step begun, else the newest refusal, else the order's state."""
    states = [step["state"] for decision in decisions for step in decision["steps"]]
    ended = [step_state for step_state in states if step_state not in ("planned", "cancelled")]
    if ended:
        return str(ended[-1])
    refusals = [decision["code"] for decision in decisions if decision["kind"] == "refusal"]
    return f"refused: {refusals[-1]}" if refusals else ("cancelled" if states else state)
