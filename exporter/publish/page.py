"""The page that /metrics serves: written and compressed once a cycle, read by any number of scrapes."""

import time

from exporter.config import Config
from exporter.history.identity import Identity
from exporter.publish.exposition import Page
from exporter.publish.process import process_metrics
from exporter.publish.selfmetrics import add_node, add_quality, add_self, add_training
from exporter.publish.series import add_containers, add_thresholds, identity_labels
from exporter.state import State


class Publisher:
    """Holds the newest page: a fifth of its text, and as Prometheus asks for it."""

    def __init__(self, config: Config) -> None:
        self.page = b""
        """Compressed by gzip; empty before the first cycle."""
        self._config = config
        self._cpu_seconds = 0.0
        self._dropped = 0
        self._identities: dict[Identity, str] = {}

    def publish(self, state: State, started: float, cpu_started: float) -> None:
        """Write the page for ``state``; the cycle began at these readings of perf_counter and process_time."""
        page = Page(self._labels(state))
        self._dropped += add_containers(page, state, self._config.forecast)
        series = page.series
        add_thresholds(page, self._config.assess.thresholds)
        add_node(page, state, self._config)
        add_quality(page, state, self._config)
        add_training(page, state)
        add_self(page, state, self._config, series, self._dropped)
        before = self._cpu_seconds - cpu_started
        page.add_measured("cpp_cycle_cpu_seconds_total", lambda: before + time.process_time())
        page.add_measured("cpp_cycle_duration_seconds", lambda: time.perf_counter() - started)
        self.page = page.packed(process_metrics())
        self._cpu_seconds = before + time.process_time()

    def _labels(self, state: State) -> list[str]:
        known, identities = self._identities, state.snapshot.identities
        self._identities = {who: known.get(who) or identity_labels(self._config.node, who) for who in identities}
        return [self._identities[who] for who in identities]
