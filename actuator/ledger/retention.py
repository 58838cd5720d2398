"""What is old and closed is forgotten, so that the file stays bounded."""

import sqlite3


def prune(connection: sqlite3.Connection, before: float) -> None:
    """Forget deliveries, and closed orders with all that belongs to them, from before epoch seconds ``before``."""
    connection.execute("DELETE FROM deliveries WHERE received_at < ?", (before,))
    connection.execute("DELETE FROM orders WHERE state != 'open' AND closed_at < ?", (before,))
    connection.execute("DELETE FROM verdicts WHERE order_id NOT IN (SELECT id FROM orders)")
    connection.execute("DELETE FROM steps WHERE order_id NOT IN (SELECT id FROM orders)")
    connection.execute(
        "DELETE FROM alerts WHERE last_seen < ? AND (order_id IS NULL OR order_id NOT IN (SELECT id FROM orders))",
        (before,),
    )
    connection.execute("DELETE FROM throttles WHERE ended_at < ?", (before,))
