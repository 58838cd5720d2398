"""The command ``run``: read the sources, turn the cycle, serve what it publishes."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import isnan

import structlog
from pydantic import BaseModel

from exporter.backfill import backfill
from exporter.config import Config
from exporter.cycle import Cycle, Readings
from exporter.elders import Elders
from exporter.history.identity import Identity
from exporter.history.store import History
from exporter.profile import build_profile
from exporter.publish.web import Views
from exporter.sections import BackfillConfig
from exporter.sources import scraped
from exporter.sources.exposition import Samples
from exporter.sources.http import HttpSource, Reading, newest
from exporter.sources.kubelet import Kubelet
from exporter.sources.prometheus import HistoryUnavailableError
from exporter.state import SourceState

_log = structlog.get_logger(__name__)
_SHORTEST_PREFIX = 12
_PATIENCE = 300.0
"""Seconds to wait for Prometheus at start."""


class Exporter:
    """Turns the cycle on time until it is stopped."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self.cycle = Cycle(config)
        self._config = config
        self._clock = clock
        self._stop = threading.Event()
        self._backfilled: History | None = None
        """Whose past has been read, or will not be: where all is learned anew, there is another history."""
        self._backfill_until: float | None = None
        past = config.sources.prometheus
        self._elders = None if past is None else Elders(config, past)
        self._sources = [scraped.cadvisor(config.sources.cadvisor)]
        if config.sources.probe is not None:
            self._sources.append(scraped.probe(config.sources.probe))
        self._kubelet = None if config.sources.kubelet is None else Kubelet(config.sources.kubelet)
        self._newest = {source.name: float("nan") for source in self._sources}
        self._readers = ThreadPoolExecutor(len(self._sources), thread_name_prefix="read")

    def turn(self) -> None:
        """Read all sources at once and run one cycle on what they gave."""
        self._look_back()
        readings = dict(zip(self._newest, self._readers.map(HttpSource.read, self._sources), strict=True))
        now = self._clock()
        samples = {name: reading.content for name, reading in readings.items()}
        pods = None if self._kubelet is None else self._kubelet.read(samples["cadvisor"], now)
        states = (self._state(source, readings[source.name], now) for source in self._sources)
        self.cycle.run(
            Readings(samples["cadvisor"], samples.get("probe"), pods), (*states, *self._kubelet_state()), now
        )

    def _look_back(self) -> None:
        """Ask Prometheus once for the past of those who are here, later for what elders of newcomers did elsewhere."""
        if self._elders is None or len(self.cycle.history.registry) == 1:
            return
        if self._backfilled is self.cycle.history:
            self._elders.look(self.cycle)
        else:
            self._backfill(self._elders.source, self.cycle.history)

    def _backfill(self, source: BackfillConfig, history: History) -> None:
        """Read the past; while Prometheus is not up yet, try again for some minutes.

        What was remembered is not asked for; a turn that follows forecasts from all that is known then.
        """
        try:
            self.cycle.fill(lambda history, since: backfill(history, self._config, source, history.at, since))
            self._backfilled = history
        except HistoryUnavailableError as error:
            self._backfill_until = self._backfill_until or history.at + _PATIENCE
            if history.at > self._backfill_until:
                self._backfilled = history
                _log.warning("no past from Prometheus; starting empty", reason=str(error))

    def loop(self) -> None:
        """Turn once each interval until ``stop``; a turn that fails is logged and the next one tried."""
        self.cycle.resume(self._clock())
        while not self._stop.is_set():
            try:
                self.turn()
            except Exception:  # one bad cycle must not end the daemon; the log has it all
                _log.exception("cycle failed")
                self.cycle.forget_state()
            interval = self._config.interval
            self._stop.wait(interval - self._clock() % interval)
        self.close()

    def close(self) -> None:
        """End what this began: readers, connections, the training child."""
        self._readers.shutdown()
        for source in self._sources:
            source.close()
        if self._kubelet is not None:
            self._kubelet.source.close()
        self.cycle.close()

    def stop(self) -> None:
        """Let ``loop`` return after the turn under way."""
        self._stop.set()

    def views(self) -> Views:
        """Return what the web shows."""
        return Views(lambda: self.cycle.publisher.page, self._profiles, self._profile)

    def _state(self, source: HttpSource[Samples], reading: Reading[Samples], now: float) -> SourceState:
        if reading.content is not None:
            at = newest(reading.content)
            self._newest[source.name] = now if isnan(at) else at
        return SourceState(source.name, bool(source.up), self._newest[source.name], reading.duration, source.errors)

    def _kubelet_state(self) -> Iterator[SourceState]:
        if self._kubelet is not None:
            kubelet, source = self._kubelet, self._kubelet.source
            yield SourceState(source.name, bool(source.up), kubelet.answered, kubelet.duration, source.errors)

    def _profiles(self) -> list[dict[str, str]]:
        state = self.cycle.state
        known = () if state is None else state.snapshot.identities
        return [{"name": who.container or who.pod, "container_id": who.container_id} for who in known]

    def _profile(self, container_id: str, window: float) -> BaseModel | None:
        with self.cycle.lock:
            state = self.cycle.state
            row = None if state is None else _find(state.snapshot.identities, container_id)
            if state is None or row is None:
                return None
            return build_profile(row, state, self.cycle.history, self._config, window)


def _find(identities: tuple[Identity, ...], container_id: str) -> int | None:
    """Return the row of the id, or of the only id that begins with at least 12 given digits."""
    rows = [row for row, who in enumerate(identities) if who.container_id == container_id]
    if not rows and len(container_id) >= _SHORTEST_PREFIX:
        rows = [row for row, who in enumerate(identities) if who.container_id.startswith(container_id)]
    return rows[0] if len(rows) == 1 else None
