"""Sources that serve metrics as text: which families are taken, how often, and what the probe says of itself."""

from collections.abc import Iterator

from exporter.sections import SourceConfig
from exporter.sources.exposition import NO_SAMPLES, Samples, parse_chunks
from exporter.sources.families import CADVISOR_WANTED, PROBE_LOST, PROBE_SELDOM, PROBE_UP, PROBE_WANTED
from exporter.sources.http import HttpSource

SELDOM = 4
"""One reading in so many has the families that are read seldom."""


class Parser:
    """Takes the families ``wanted`` of each text, and those of ``seldom`` of each SELDOM-th only."""

    def __init__(self, wanted: frozenset[str], seldom: frozenset[str] = frozenset()) -> None:
        self._wanted, self._seldom, self._reads = wanted, seldom, 0

    def __call__(self, chunks: Iterator[bytes]) -> Samples:
        """Return the samples of one text. Raises ExpositionError."""
        seldom: frozenset[str] = frozenset() if self._reads % SELDOM else self._seldom
        self._reads += 1
        return parse_chunks(chunks, self._wanted, seldom)


def cadvisor(config: SourceConfig) -> HttpSource[Samples]:
    """Return cAdvisor, alone or in a kubelet."""
    return HttpSource("cadvisor", config, Parser(CADVISOR_WANTED))


def probe(config: SourceConfig) -> HttpSource[Samples]:
    """Return cpp-probe, which answers also while it does not count."""
    return HttpSource("probe", config, Parser(PROBE_WANTED, PROBE_SELDOM), ProbeComplaint())


class ProbeComplaint:
    """Why the probe's counts are not fresh or not complete, by its own word; empty where they are."""

    def __init__(self) -> None:
        self._lost = float("inf")

    def __call__(self, samples: Samples) -> str:
        """Return the complaint of one reading; what was lost before the first reading is nobody's news."""
        before, self._lost = self._lost, float(samples.get(PROBE_LOST, NO_SAMPLES).values.sum())
        if not samples.get(PROBE_UP, NO_SAMPLES).values.all():
            return f"it answers, but says {PROBE_UP} 0: its log has the reason"
        if self._lost > before:
            return f"it lost {self._lost - before:.0f} events since the last reading: a map in the kernel was full"
        return ""
