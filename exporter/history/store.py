"""The history: both sources' samples in, arrays of all containers out."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.config import Config
from exporter.history.calls import LabelledRates
from exporter.history.columns import Columns
from exporter.history.counters import Doubles
from exporter.history.demand import BOUNDS, Demand, bounds
from exporter.history.gather import Gathered, Gatherer
from exporter.history.identity import Identity
from exporter.history.registry import Registry
from exporter.history.residents import Residents
from exporter.history.signals import COLUMN, SIGNALS
from exporter.history.snapshot import Allocation, Snapshot
from exporter.history.windows import Floats, Grid, Window
from exporter.persist.arrays import Arrays, fitting, numbers, spelled, texts, under, within
from exporter.sources.exposition import Samples
from exporter.sources.pods import Pods

_STALE_CYCLES = 3
_GRACE = 300.0
"""Seconds for which a container that was remembered may go unseen after a start: sources start too."""
_RINGS = ("fine", "values", "ceilings")
"""What is saved, by name. Past rates of followed calls are not: they only adorn a profile."""
_CALLS = 1024.0
"""Calls per second that stand as 1 in the past of followed calls: their float16 ends at 65,504."""


class History:
    """Remembers each container while it lives, at the cycle's interval and at the forecast's step."""

    def __init__(self, config: Config) -> None:
        self.registry = Registry(config.history.max_containers)
        self.demand = Demand(round(config.history.forecast_window / config.forecast.step))
        self._config = config
        self._patience = _STALE_CYCLES * config.interval
        self._residents = None if config.sources.kubelet is None else Residents()
        self._gatherer = Gatherer(self._patience, config.max_syscalls, self._residents)
        length = round(config.history.window / config.interval)
        self._fine = Columns(len(SIGNALS) + len(BOUNDS), length)
        self._followed = Columns(config.max_syscalls, length, kind=np.float16)
        self.steps = 0
        """Steps of the forecast's history that have ended."""
        self._oom_kills: dict[str, float] = {}
        self._cycle: int | None = None
        self._at = 0.0

    @property
    def at(self) -> float:
        """Epoch seconds of the newest cycle."""
        return self._at

    def update(self, cadvisor: Samples | None, probe: Samples | None, now: float, pods: Pods | None = None) -> Snapshot:
        """Take what the sources gave (None where one could not be read) and return what is true now."""
        if self._residents is not None and pods is not None:
            self._residents.learn(pods)
        self._follow(cadvisor, probe, now)
        gathered = self._gatherer.gather(cadvisor or {}, probe or {}, self.registry, now)
        self._remember(gathered, now)
        return self._snapshot(gathered, now)

    def window(self, snapshot: Snapshot) -> Window:
        """Return the recent past of the containers of ``snapshot``; its arrays are valid until the next update."""
        return Window(
            step=self._config.interval,
            end=self._at,
            lives=snapshot.lives,
            workloads=snapshot.workloads,
            signals=self._fine.view(len(self.registry))[1:, : len(SIGNALS)],
            started=snapshot.started,
            cpu_limit=snapshot.allocation.cpu_limit.astype(np.float32),
            memory_limit=snapshot.allocation.memory_limit.astype(np.float32),
            syscalls=snapshot.syscalls.held.astype(np.float32),
            syscall_names=snapshot.syscalls.names,
            connections=snapshot.connections.held.astype(np.float32),
            protocol_names=snapshot.connections.names,
            node_cpu=self._fine.view(len(self.registry))[0, COLUMN["cpu"]],
            pairs=snapshot.pairs,
        )

    def followed(self, container: int) -> Floats:
        """Return [slots, time], past rates of the calls by which the container is followed, to three digits."""
        past = self._followed.view(len(self.registry))[1 + container]
        return np.asarray(past * np.float32(_CALLS), np.float32)

    def grid(self) -> Grid:
        """Return the demand of all rows at the forecast's step, the node itself first."""
        step = self._config.forecast.step
        return self.demand.grid(self.registry, step, self._at // step * step)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved."""
        rows = len(self.registry)
        kills = [self._oom_kills.get(identity.key, np.nan) for identity in self.registry.identities]
        plain = {
            "oom_kills": np.array(kills),
            "cycle": np.array([-1 if self._cycle is None else self._cycle], np.int64),
        }
        rings = {name: ring.view(rows) for name, ring in zip(_RINGS, self._saved_rings(), strict=True)}
        labels = spelled("syscalls", self._gatherer.calls.names)
        labels |= spelled("protocols", self._gatherer.connections.names)
        return plain | labels | rings | under("registry", self.registry.export())

    def restore(self, arrays: Arrays, at: float, now: float) -> None:
        """Take back what was saved ``at`` into a history that is new, and let time pass until ``now``.

        Raise MismatchError; the history is then not to be used.
        """
        self.registry.restore(within("registry", arrays), now + _GRACE)
        rows, keys = len(self.registry), [identity.key for identity in self.registry.identities]
        for name, ring in zip(_RINGS, self._saved_rings(), strict=True):
            ring.restore(fitting(arrays, name, ring.view(0), rows))
        self._followed.grow(rows)
        self._gatherer.calls.expect(texts(arrays, "syscalls"))
        self._gatherer.connections.expect(texts(arrays, "protocols"))
        kills = fitting(arrays, "oom_kills", np.empty(rows))
        self._oom_kills = dict(zip(keys, kills.tolist(), strict=True))
        self._cycle, self._at = numbers(arrays, "cycle", 1)[0], at
        self._pass(now)

    def _saved_rings(self) -> tuple[Columns, ...]:
        return (self._fine, *self.demand.rings)

    def _follow(self, cadvisor: Samples | None, probe: Samples | None, now: float) -> None:
        named, unnamed = self._gatherer.listed(cadvisor, probe)
        for identity in named.values():
            self.registry.admit(identity, now, guessed=self._guessed(identity))
        if cadvisor is None:
            for identity in unnamed.values():
                self.registry.admit(identity, now)
        listed = [row for row in self._rows(named) if row > 0]
        self.registry.note(listed, now, authoritative=True)
        self.registry.note(self._rows(unnamed), now, authoritative=False)
        for ring in self._rings():
            ring.grow(len(self.registry))
        for row in self.registry.gone(now, None if cadvisor is None else listed, self._patience):
            self._remove(row)

    def _guessed(self, identity: Identity) -> bool:
        return self._residents is not None and not self._residents.knows(identity)

    def _rows(self, identities: dict[str, Identity]) -> list[int]:
        return [row for key in identities if (row := self.registry.row(key)) is not None]

    def _rings(self) -> tuple[Columns, ...]:
        return (self._fine, self._followed, *self.demand.rings)

    def _remove(self, row: int) -> None:
        self._oom_kills.pop(self.registry.identities[row].key, None)
        last = self.registry.remove(row)
        self._gatherer.remove(row, last)
        for ring in self._rings():
            ring.remove(row, last)

    def _remember(self, gathered: Gathered, now: float) -> None:
        self._pass(now)
        extra = bounds(gathered.fresh, gathered.allocation, gathered.node_cpu, self._new_oom_kills(gathered.oom_kills))
        self._fine.write(np.hstack([gathered.fresh, extra]))
        self._followed.forget(gathered.followed.replaced)
        self._followed.write(np.minimum(_take(gathered) / _CALLS, np.finfo(np.float16).max))

    def _pass(self, now: float) -> None:
        """Begin the cycle of ``now``; what was missed until then stays empty."""
        cycle, step = round(now / self._config.interval), self._config.forecast.step
        if self._cycle is not None and now // step > self._at // step:
            self._close_step(round(now // step - self._at // step))
            self.steps += 1
        missed = 1 if self._cycle is None else max(1, cycle - self._cycle)
        for ring in (self._fine, self._followed):
            ring.advance(missed)
        self._cycle, self._at = cycle, now

    def _close_step(self, steps: int) -> None:
        per_step = max(1, round(self._config.forecast.step / self._config.interval))
        self.demand.close(self._fine.view(len(self.registry))[:, :, -per_step:], steps)

    def _new_oom_kills(self, oom_kills: Doubles) -> Doubles:
        keys = [identity.key for identity in self.registry.identities]
        before = np.array([self._oom_kills.get(key, np.nan) for key in keys])
        self._oom_kills = dict(zip(keys, np.where(np.isnan(oom_kills), before, oom_kills).tolist(), strict=True))
        since_reset = np.where(oom_kills < before, oom_kills, oom_kills - before)
        return np.asarray(np.nan_to_num(since_reset))

    def _snapshot(self, gathered: Gathered, now: float) -> Snapshot:
        given = (getattr(gathered.allocation, field.name)[1:] for field in fields(Allocation))
        return Snapshot(
            at=now,
            identities=tuple(self.registry.identities[1:]),
            lives=self.registry.lives[1:],
            workloads=self.registry.workloads[1:],
            signals=gathered.held[1:],
            allocation=Allocation(*given),
            started=gathered.started[1:],
            oom_kills=gathered.oom_kills[1:],
            syscalls=_containers(gathered.syscalls),
            followed=gathered.followed.calls[1:],
            followed_level=gathered.followed.level[1:],
            connections=_containers(gathered.connections),
            pairs=gathered.pairs,
            node_cpu=gathered.node_cpu,
            node_memory=gathered.node_memory,
            dropped=self.registry.refused,
        )


def _containers(rates: LabelledRates) -> LabelledRates:
    """Return ``rates`` without the node's row."""
    return LabelledRates(rates.names, rates.held[1:], rates.used[1:])


def _take(gathered: Gathered) -> Doubles:
    """Return [rows, slots], the rates of the followed calls."""
    followed = gathered.followed.calls
    if not gathered.syscalls.names:
        return np.full(followed.shape, np.nan)
    rates = np.take_along_axis(gathered.syscalls.held, np.maximum(followed, 0), axis=1)
    return np.where(followed >= 0, rates, np.nan)
