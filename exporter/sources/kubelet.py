"""Reads a kubelet's list of pods, no oftener than it can have changed: it is by far the largest text of a node."""

import math

from exporter.sections import KubeletConfig
from exporter.sources.exposition import NO_SAMPLES, Samples
from exporter.sources.http import HttpSource
from exporter.sources.pods import Pods, parse_pods

_CENSUS = "container_cpu_usage_seconds_total"
"""The family whose series tell which containers there are."""


class Kubelet:
    """Asked anew when containers come or go, and else after a while: requests and annotations change without that."""

    def __init__(self, config: KubeletConfig) -> None:
        self.source: HttpSource[Pods] = HttpSource("kubelet", config, parse_pods)
        self.duration = 0.0
        """Seconds that the last read took."""
        self.answered = math.nan
        """When it last answered, epoch seconds."""
        self._refresh = config.refresh
        self._listed: list[bytes] = []
        self._pods: Pods | None = None

    def read(self, cadvisor: Samples | None, now: float) -> Pods | None:
        """Return the pods as last known, None where they never were; ``cadvisor`` is what cAdvisor says ``now``."""
        listed = (cadvisor or {}).get(_CENSUS, NO_SAMPLES).keys
        if listed != self._listed or not now < self.answered + self._refresh:
            reading = self.source.read()
            self.duration = reading.duration
            if reading.content is not None:
                self._pods, self._listed, self.answered = reading.content, listed, now
        return self._pods
