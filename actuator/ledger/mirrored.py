"""The ledger of one of several replicas: in SQLite, and what is live of it also in the cluster's objects."""

from pathlib import Path

from actuator.ledger.mirror import Mirror
from actuator.ledger.retention import prune
from actuator.ledger.sqlite import SqliteLedger


class MirroredLedger(SqliteLedger):
    """Implements ``ledger.protocol.Ledger``. Only the leader may write; the history is each replica's own."""

    def __init__(self, path: Path, mirror: Mirror) -> None:
        super().__init__(path, mirror)
        self._mirror = mirror

    def take_over(self) -> None:
        """See Ledger."""
        with self._database.change() as connection:
            self._mirror.take_over(connection)

    def prune(self, before: float) -> None:
        """See Ledger."""
        with self._write() as connection:
            prune(connection, before)
            self._mirror.sweep(connection)
