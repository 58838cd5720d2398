"""Numbers of rows: each term of leadership has its own, so that no two leaders give the same."""

import sqlite3

TERM = "term"
"""The word under which the ledger keeps its term; without one, numbers begin at one."""
_OF_A_TERM = 1_000_000
_HIGHEST = {
    "orders": "SELECT max(id) FROM orders",
    "alerts": "SELECT max(id) FROM alerts",
    "verdicts": "SELECT max(id) FROM verdicts",
    "steps": "SELECT max(id) FROM steps",
}


def next_id(connection: sqlite3.Connection, table: str) -> int:
    """Return the number of the table's next row."""
    (highest,) = connection.execute(_HIGHEST[table]).fetchone()
    return max(highest or 0, term(connection) * _OF_A_TERM) + 1


def term(connection: sqlite3.Connection) -> int:
    """Return which term of leadership the ledger is written in; zero where nobody is elected."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (TERM,)).fetchone()
    return int(row["value"]) if row else 0


def begin_term(connection: sqlite3.Connection, number: int) -> None:
    """Let numbers be those of a term."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (TERM, str(number)))
