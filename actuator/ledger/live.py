"""What of the ledger a new leader must know: the live rows of each container, as plain data.

Live is what is open, underway, held or in force; what was done within the hour, for the budget; and what was done last
within the day, for the rest that a container is given. With it go the plans and orders that it belongs to.
"""

import json
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Rows = dict[str, list[Row]]

_LATELY, _OF_LATE = 3600.0, 86400.0
# A plan of which nothing is begun is left out: a new leader plans anew.
_VERDICTS = """
WITH own AS (SELECT *, coalesce(finished_at, started_at) AS at FROM steps WHERE target = :target),
ended AS (SELECT * FROM own WHERE state NOT IN ('planned', 'started', 'cancelled') AND at > :at - :of_late)
SELECT verdict_id FROM own GROUP BY verdict_id HAVING sum(state IN ('planned', 'started')) AND sum(starts)
UNION SELECT verdict_id FROM ended WHERE at > :at - :lately OR at = (SELECT max(at) FROM ended)"""
_THEIR_ORDERS = """
SELECT order_id FROM steps WHERE verdict_id IN (SELECT value FROM json_each(:verdicts))
UNION SELECT order_id FROM reservations WHERE target = :target UNION SELECT order_id FROM held WHERE target = :target
UNION SELECT order_id FROM throttles WHERE target = :target AND (ended_at IS NULL OR ended_at > :at - :lately)"""
_PARTS = {
    "orders": "SELECT * FROM orders WHERE target = :target AND (state = 'open' OR"
    " id IN (SELECT value FROM json_each(:orders)))",
    "others": "SELECT * FROM orders WHERE target != :target AND id IN (SELECT value FROM json_each(:orders))",
    "alerts": "SELECT alerts.* FROM alerts JOIN orders ON orders.id = order_id WHERE target = :target"
    " AND state = 'open'",
    "verdicts": "SELECT * FROM verdicts WHERE id IN (SELECT value FROM json_each(:verdicts))",
    "steps": "SELECT * FROM steps WHERE verdict_id IN (SELECT value FROM json_each(:verdicts))",
    "reservations": "SELECT * FROM reservations WHERE target = :target",
    "throttles": "SELECT * FROM throttles WHERE target = :target AND (ended_at IS NULL OR ended_at > :at - :lately)",
    "held": "SELECT * FROM held WHERE target = :target",
}
"""``others`` are orders about another container whose steps were taken on this one."""
_TABLES = {part: part for part in _PARTS} | {"others": "orders"}
_PASSING = {
    "orders": {"refreshed_at", "attempts", "not_before"},
    "others": {"refreshed_at", "attempts", "not_before"},
    "alerts": {"last_seen", "deliveries"},
}
"""What changes with each delivery and each try; a new leader begins it anew."""
_FORGET = (
    "DELETE FROM reservations WHERE target = :target",
    "DELETE FROM throttles WHERE target = :target",
    "DELETE FROM held WHERE target = :target",
    "UPDATE orders SET state = 'expired', closed_at = :at WHERE target = :target AND state = 'open'",
    "UPDATE steps SET state = 'cancelled', finished_at = :at, error = 'another leader went on'"
    " WHERE target = :target AND state IN ('planned', 'started')",
)
_TARGETS = """
SELECT target FROM orders WHERE state = 'open' UNION SELECT target FROM steps WHERE state IN ('planned', 'started')
UNION SELECT target FROM reservations UNION SELECT target FROM throttles UNION SELECT target FROM held"""


def targets(connection: sqlite3.Connection) -> list[str]:
    """Return the keys of all containers of which something is open, underway, held or in force."""
    return [row["target"] for row in connection.execute(_TARGETS)]


def live_rows(connection: sqlite3.Connection, target: str, at: float) -> Rows:
    """Return the live rows of the container of key ``target`` by table; empty where there are none."""
    asked: dict[str, object] = {"target": target, "at": at, "lately": _LATELY, "of_late": _OF_LATE}
    asked["verdicts"] = _numbers(connection, _VERDICTS, asked)
    asked["orders"] = _numbers(connection, _THEIR_ORDERS, asked)
    found = {part: [_plain(part, row) for row in connection.execute(query, asked)] for part, query in _PARTS.items()}
    return {part: rows for part, rows in found.items() if rows}


def replace_live(connection: sqlite3.Connection, target: str, rows: Mapping[str, Sequence[Row]], at: float) -> None:
    """Put ``rows`` in the place of the container's live rows; what was live and is not among them is over."""
    for statement in _FORGET:
        connection.execute(statement, {"target": target, "at": at})
    for part in _PARTS:
        for row in rows.get(part, ()):
            _put(connection, part, {"target": target, "refreshed_at": at, "last_seen": at} | row)


def _put(connection: sqlite3.Connection, part: str, row: Row) -> None:
    table, known = _TABLES[part], _columns(connection, _TABLES[part])
    # Another container's own document knows whether the order is open; here it only says what steps belong to.
    verb = "INSERT OR IGNORE" if part == "others" else "INSERT OR REPLACE"
    if part == "others" and row["state"] == "open":
        row = row | {"state": "expired", "closed_at": row["refreshed_at"]}
    names = [name for name in row if name in known]
    columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    statement = f"{verb} INTO {table} ({columns}) VALUES ({marks})"
    connection.execute(statement, [row[name] for name in names])


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row["name"] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _numbers(connection: sqlite3.Connection, query: str, asked: Mapping[str, object]) -> str:
    return json.dumps([row[0] for row in connection.execute(query, asked)])


def _plain(part: str, row: sqlite3.Row) -> Row:
    left_out = _PASSING.get(part, set()) | (set() if part == "others" else {"target"})
    return {name: _finite(value) for name, value in dict(row).items() if name not in left_out and value is not None}


def _finite(value: object) -> object:
    """JSON has no word for what never ends."""
    return min(value, sys.float_info.max) if isinstance(value, float) else value
