"""Which containers a transaction touches, noted by the database itself: no writing function can forget to say it."""

import sqlite3
from collections.abc import Iterable

NOBODY = ""
"""Stands for what concerns no one container."""
_EVENTS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
"""An update may give a row from one container to another, which touches both."""
_WHOM = {
    "orders": "VALUES ({row}.target)",
    "steps": "VALUES ({row}.target)",
    "reservations": "VALUES ({row}.target)",
    "throttles": "VALUES ({row}.target)",
    "held": "VALUES ({row}.target)",
    "alerts": "SELECT target FROM orders WHERE id = {row}.order_id",
    "meta": "VALUES ('')",
}


def attach(connection: sqlite3.Connection) -> None:
    """Begin to note. Plans need no note: their steps are touched with them."""
    connection.execute("CREATE TEMP TABLE touched (target TEXT NOT NULL)")
    for event, rows in _EVENTS.items():
        for table, whom in _WHOM.items():
            head = f"CREATE TEMP TRIGGER touched_{event}_{table} AFTER {event} ON main.{table}"
            notes = " ".join(f"INSERT INTO touched {whom.format(row=row)};" for row in rows)
            connection.execute(f"{head} BEGIN {notes} END")


def add(connection: sqlite3.Connection, targets: Iterable[str]) -> None:
    """Note containers, by their keys, that are to count as touched."""
    connection.executemany("INSERT INTO touched VALUES (?)", ((target,) for target in targets))


def take(connection: sqlite3.Connection) -> list[str]:
    """Return the keys of the containers touched since the last call."""
    rows = connection.execute("SELECT DISTINCT target FROM touched").fetchall()
    connection.execute("DELETE FROM touched")
    return [row["target"] for row in rows]
