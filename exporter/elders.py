"""Asks Prometheus what workloads that come to this node were like elsewhere, so that a move forgets nothing."""

import structlog

from exporter.backfill import elders_past
from exporter.config import Config
from exporter.cycle import Cycle
from exporter.history.identity import Identity
from exporter.history.windows import Grid
from exporter.sections import BackfillConfig
from exporter.sources.prometheus import HistoryUnavailableError

_PATIENCE = 5.0
"""Seconds given to an answer, however long the past of all at the start may take: samples wait for it."""
_PAUSE = 300.0
"""Seconds in which a Prometheus that did not answer is not asked again."""
_log = structlog.get_logger(__name__)


class Elders:
    """Asks once for each stranger, of one in each turn: to learn from an answer takes a moment."""

    def __init__(self, config: Config, source: BackfillConfig) -> None:
        self._config, self.source = config, source
        self._hurried = source.model_copy(update={"timeout": min(source.timeout, _PATIENCE)})
        self._asked: set[str] = set()
        self._not_before = 0.0

    def look(self, cycle: Cycle) -> None:
        """Let one newcomer go on from where others of its workload are."""
        now = cycle.history.at
        if now < self._not_before:
            return
        strangers = cycle.strangers()
        self._asked &= set(strangers)
        for workload in sorted(set(strangers) - self._asked)[:1]:
            try:
                past = self._past(strangers[workload], now)
            except HistoryUnavailableError as error:
                self._not_before = now + _PAUSE
                _log.warning("a workload begins with nothing for now", workload=workload, reason=str(error))
                return
            self._asked.add(workload)
            if past is not None:
                cycle.receive(workload, past)
                _log.info("a workload goes on from elsewhere", workload=workload)

    def _past(self, identity: Identity, now: float) -> Grid | None:
        return elders_past(self._config, self._hurried, identity, now)
