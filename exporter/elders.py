"""Asks Prometheus what workloads that come to this node were like elsewhere, so that a move forgets nothing."""

import structlog

from exporter.backfill import elders_past
from exporter.config import BackfillConfig, Config
from exporter.cycle import Cycle
from exporter.history.identity import Identity
from exporter.history.windows import Grid
from exporter.sources.prometheus import HistoryUnavailableError

_log = structlog.get_logger(__name__)


class Elders:
    """Asks once for each stranger, of one in each turn: to learn from an answer takes a moment."""

    def __init__(self, config: Config, source: BackfillConfig) -> None:
        self._config, self.source = config, source
        self._asked: set[str] = set()

    def look(self, cycle: Cycle) -> None:
        """Let one newcomer go on from where others of its workload are."""
        strangers = cycle.strangers()
        self._asked &= set(strangers)
        for workload in sorted(set(strangers) - self._asked)[:1]:
            self._asked.add(workload)
            past = self._past(strangers[workload], cycle.history.at)
            if past is not None:
                cycle.receive(workload, past)
                _log.info("a workload goes on from elsewhere", workload=workload)

    def _past(self, identity: Identity, now: float) -> Grid | None:
        try:
            return elders_past(self._config, self.source, identity, now)
        except HistoryUnavailableError as error:
            _log.warning("a workload begins with nothing", workload=identity.workload, reason=str(error))
            return None
