"""When this replica may act: it leads, and it knows what an earlier leader left."""

from collections.abc import Callable

import structlog

from actuator.leader import Election
from actuator.ledger.protocol import Ledger
from actuator.platforms.errors import PlatformError

_log = structlog.get_logger(__name__)


class Tenure:
    """One replica's terms. ``announce`` makes others send to this replica; it is done once in each term."""

    def __init__(self, election: Election, ledger: Ledger, announce: Callable[[], None]) -> None:
        self._election, self._ledger, self._announce = election, ledger, announce
        self._known = self._announced = 0

    def acts(self) -> bool:
        """Tell whether it may act now."""
        return self._election.leads() and self._known == self._election.term

    def begin(self) -> bool:
        """Make ready what is missing and tell whether it may act now. Raises LedgerError."""
        if not self._election.leads():
            return False
        term = self._election.term
        if self._known != term:
            self._ledger.take_over()
            self._known = term
            _log.info("took over")
        if self._announced != term:
            self._tell(term)
        return self.acts()

    def _tell(self, term: int) -> None:
        try:
            self._announce()
        except PlatformError as error:
            _log.warning("not announced", error=str(error))
        else:
            self._announced = term
