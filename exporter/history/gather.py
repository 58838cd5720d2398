"""Samples of both sources → one row of signals per container."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from exporter.history.calls import Followed, Followings, Labelled, LabelledRates
from exporter.history.counters import Doubles
from exporter.history.derive import allocatable, allocation, combine
from exporter.history.identity import PODS_CGROUPS, Identity, identify
from exporter.history.intake import Intake
from exporter.history.pairs import PairIntake
from exporter.history.registry import Registry
from exporter.history.residents import Residents
from exporter.history.snapshot import Allocation
from exporter.history.windows import Pairs
from exporter.sources.exposition import NO_SAMPLES, Samples
from exporter.sources.families import (
    CADVISOR_COUNTERS,
    CADVISOR_GAUGES,
    CONNECTIONS,
    MACHINE_CPU,
    MACHINE_MEMORY,
    PAIRS,
    PROBE_COUNTERS,
    SYSCALLS,
)


@dataclass(frozen=True)
class Gathered:
    """What one cycle says of all rows, the node first."""

    held: Doubles
    """[rows, signals], newest known values."""
    fresh: Doubles
    """[rows, signals], values that this cycle brought."""
    allocation: Allocation
    started: Doubles
    oom_kills: Doubles
    syscalls: LabelledRates
    followed: Followings
    connections: LabelledRates
    pairs: Pairs
    node_cpu: float
    node_memory: float


class Gatherer:
    """Remembers the last samples of each source."""

    def __init__(self, patience: float, max_syscalls: int, residents: Residents | None) -> None:
        """Take rows for containers of pods where there are ``residents``; the node is then what its pods may have."""
        self._patience, self._residents = patience, residents
        recognise = identify if residents is None else partial(identify, node=PODS_CGROUPS)
        self._cadvisor = Intake(CADVISOR_COUNTERS, CADVISOR_GAUGES, patience, recognise)
        self._probe = Intake(PROBE_COUNTERS, (), patience, recognise)
        self.calls = Labelled("syscall", patience, recognise)
        self.connections = Labelled("protocol", patience, recognise)
        self._pairs = PairIntake()
        self._followed = Followed(max_syscalls)
        self._node = (np.nan, np.nan)
        self._last = -np.inf

    def listed(
        self, cadvisor: Samples | None, probe: Samples | None
    ) -> tuple[dict[str, Identity], dict[str, Identity]]:
        """Return whom each source lists, by key."""
        named, unnamed = self._cadvisor.identities(cadvisor or {}), self._probe.identities(probe or {})
        if self._residents is not None:
            named = {key: self._residents.describe(identity) for key, identity in named.items()}
        # A recording may hold calls alone, and is given as both sources; cAdvisor itself counts none. Nothing is asked
        # then: an index that is shown an empty list reads all of the probe's label blocks again in the same cycle.
        calls = (cadvisor or {}).get(SYSCALLS, NO_SAMPLES)
        return named | (self.calls.identities(calls) if calls.keys else {}), unnamed

    def remove(self, row: int, last: int) -> None:
        """Forget ``row``; the row ``last`` takes its place."""
        for part in (self._cadvisor, self._probe, self.calls, self.connections, self._followed):
            part.remove(row, last)

    def gather(self, cadvisor: Samples, probe: Samples, registry: Registry, now: float) -> Gathered:
        """Return what the samples say of the rows of ``registry``; an empty source says nothing."""
        calls = self.calls.update(probe.get(SYSCALLS, NO_SAMPLES), registry, now)
        connections = self.connections.update(probe.get(CONNECTIONS, NO_SAMPLES), registry, now)
        totals = np.column_stack([_total(calls), _total(connections)])
        seen, kernel = self._cadvisor.rates(cadvisor, registry, now), self._probe.rates(probe, registry, now)
        gauges = self._cadvisor.gauges(cadvisor, registry)
        self._node = self._capacity(cadvisor, gauges.values)
        since, self._last = self._last, now
        return Gathered(
            held=combine(seen.held, kernel.held, gauges.since(now - self._patience), totals),
            fresh=combine(seen.fresh, kernel.fresh, gauges.since(since), totals),
            allocation=self._allocation(gauges.values, registry),
            started=gauges.values[:, _column("started")],
            oom_kills=gauges.values[:, _column("oom_kills")],
            syscalls=calls,
            followed=self._followed.update(calls.held),
            connections=connections,
            pairs=self._pairs.update(probe.get(PAIRS, NO_SAMPLES).text, self.calls.columns, registry, now),
            node_cpu=self._node[0],
            node_memory=self._node[1],
        )

    def _allocation(self, gauges: Doubles, registry: Registry) -> Allocation:
        given = allocation(gauges)
        if self._residents is None:
            return given
        cpu, memory = self._residents.requests(registry.identities)
        return replace(given, cpu_request=cpu, memory_request=memory)

    def _capacity(self, samples: Samples, gauges: Doubles) -> tuple[float, float]:
        """Return cores and bytes that the node has for containers."""
        cpu, memory = _machine(samples, self._node)
        if self._residents is None:
            return cpu, memory
        most = allocatable(gauges[0])
        return float(np.fmin(cpu, most[0])), float(np.fmin(memory, most[1]))


def _column(signal: str) -> int:
    return [gauge.signal for gauge in CADVISOR_GAUGES].index(signal)


def _total(rates: LabelledRates) -> Doubles:
    unseen = np.isnan(rates.held).all(axis=1)
    return np.where(unseen, np.nan, np.nansum(rates.held, axis=1))


def _machine(samples: Samples, known: tuple[float, float]) -> tuple[float, float]:
    found = [samples.get(name, NO_SAMPLES).values for name in (MACHINE_CPU, MACHINE_MEMORY)]
    cpu, memory = (float(values[0]) if len(values) else old for values, old in zip(found, known, strict=True))
    return cpu, memory
