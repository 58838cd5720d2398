"""Who is held up by others: the time waited, less what a container's own limits, threads and transfers explain.

Pressure (PSI) is the truth of waiting, usage only the hint of who: which CPUs a container may run on is not known here.
"""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers, mean, quantiles, ramp, recent
from exporter.history.signals import COLUMN
from exporter.history.windows import Window

CHANNELS = ("cpu", "memory", "disk_io", "memory_bandwidth")
"""Ways of being held up: for the last one nobody waits, but the same work takes more CPU time."""
CPU, MEMORY, DISK, WORK = range(4)
SMOOTHING = 9.0
"""Seconds: a new noisy neighbour must be named within 15."""
LATELY = 5.0
GROWTH_SMOOTHING = 30.0
FELT = (0.03, 0.055)
"""Share of the time waited: below is scheduling as usual, above counts fully."""
LUCKLESS = 1.25
"""By how much more others may hit the moments in which a container wants to run than they would by chance."""
SLOWER = (0.1, 0.4)
"""Loss of work per CPU second: below is what a load's own mix makes of it, above counts fully."""
LEAST_WORK, LEAST_CPU = 20.0, 0.02
"""Units of work a second and cores: less says nothing of the work done in a CPU second."""
LEAST_BYTES = 2.0**12
"""Bytes a second: less says nothing of how long a transfer takes."""
USUAL = 0.25
MOST_COLUMNS = 240
"""Columns looked at; at 15 s an hour."""
LEAST_INSTRUCTIONS = 1e6
"""A second: less says nothing either."""
_WORK = ("syscalls", "network_packets")
_THROTTLING = ("cpu_throttled_seconds", "cpu_throttled")


@dataclass(frozen=True)
class Held:
    """Who is held up, a row per container; arrays [containers, CHANNELS] unless said otherwise."""

    suffered: Numbers
    """0–1."""
    waiting: Numbers
    """Share of the time waited, own limits taken off; the last column is the loss of work per CPU second."""
    use: Numbers
    """Cores, bytes of memory growth a second, bytes of I/O a second, cores."""
    lately: Numbers
    """The same use over the last moments: a victim that is held up uses less at once, a newcomer all it can."""
    felt: tuple[Numbers, ...]
    """[containers, time] for each channel, as measured."""
    taken: tuple[Numbers, ...]
    """[containers, time] for each channel, what was used."""


def held_up(window: Window) -> Held:
    """Return who is held up by others, and what each container uses of what."""
    cpu = series(window, "cpu")
    lost = _lost(window)
    taken = (cpu, _growth(window), series(window, "disk_io"), cpu)
    felt = (*(series(window, name) for name in ("cpu_waiting", "memory_waiting", "io_waiting")), lost)
    smoothing = (SMOOTHING, GROWTH_SMOOTHING, SMOOTHING, SMOOTHING)
    use = np.stack([level(one, s, window.step) for one, s in zip(taken, smoothing, strict=True)], axis=1)
    waiting = np.stack([level(one, SMOOTHING, window.step) for one in felt], axis=1)
    waiting = np.clip(waiting - _own_fault(window, waiting), 0.0, 1.0)
    others = np.maximum(use.sum(axis=0) - use, 0.0)
    waiting[:, CPU] = np.minimum(waiting[:, CPU], explained(others[:, CPU], waiting[:, CPU], use[:, CPU]))
    waiting[:, CPU] *= _in_containers(others[:, CPU], window, use[:, CPU])
    beyond = _beyond(window, waiting[:, DISK], use[:, DISK])
    moments = (LATELY, GROWTH_SMOOTHING, LATELY, LATELY)
    lately = np.stack([level(one, s, window.step) for one, s in zip(taken, moments, strict=True)], axis=1)
    return Held(_suffered(waiting, use, others, beyond), waiting, use, lately, felt, taken)


def series(window: Window, signal: str) -> Numbers:
    """Return [containers, time], a signal's past."""
    return window.signals[:, COLUMN[signal], -MOST_COLUMNS:]


def level(past: Numbers, seconds: float, step: float) -> Numbers:
    """Return [containers], the mean of the last ``seconds``; 0 where nothing is known."""
    now: Numbers = np.nan_to_num(recent(past, seconds, step))
    return now


def explained(cores: Numbers, waiting: Numbers, use: Numbers) -> Numbers:
    """Return the waiting that ``cores`` of others explain: they must run while the container wants to.

    What is beyond that, the container's own threads or processes outside of containers have caused.
    """
    most: Numbers = LUCKLESS * cores * _wanted(waiting, use)
    return most


def _growth(window: Window) -> Numbers:
    """Return bytes of memory taken per second; giving back counts as nothing."""
    memory = series(window, "memory")
    growth: Numbers = np.clip(np.diff(memory, axis=1, prepend=np.nan) / window.step, 0.0, None)
    return growth


def _lost(window: Window) -> Numbers:
    """Return [containers, time], by which part the work done in a CPU second is below the usual of the window.

    Work is counted in instructions where hardware counters are read (as by CPI2: Zhang et al., EuroSys 2013). Else in
    system calls and in packets; only what both say is a loss, since either alone changes with the kind of request.
    NaN where there is too little of either.
    """
    calls, packets = (_slower(window, name, LEAST_WORK) for name in _WORK)
    counted = _slower(window, "instructions", LEAST_INSTRUCTIONS)
    return np.clip(np.where(np.isnan(counted), np.minimum(calls, packets), counted), 0.0, 1.0)


def _slower(window: Window, name: str, least: float) -> Numbers:
    """Return [containers, time], 1 less how fast one kind of work was done, in what is usual for the window."""
    done, cpu = series(window, name), series(window, "cpu")
    with np.errstate(invalid="ignore", divide="ignore"):
        speed = np.where((done > least) & (cpu > LEAST_CPU), done / cpu, np.nan)
        slower: Numbers = 1 - speed / mean(speed)[:, None]
    return slower


def _own_fault(window: Window, waiting: Numbers) -> Numbers:
    """Return [containers, CHANNELS], the waiting that a container's own limits explain.

    A throttled task counts as waiting for CPU. Throttled seconds are summed over CPUs and the share of throttled
    periods ignores how long each lasted, so both are upper bounds of the time: the smaller one is taken. In a throttled
    period the container also got its whole quota, so neighbours took nothing from it then, however long it waited.
    Near its own memory limit a container reclaims from itself.
    """
    seconds, periods = (level(series(window, name), SMOOTHING, window.step) for name in _THROTTLING)
    # The two counters are read at slightly different moments; a tenth covers that.
    quota = np.maximum(1.1 * np.minimum(seconds, periods), waiting[:, CPU] * periods)
    full = ramp(recent(series(window, "memory"), SMOOTHING, window.step) / window.memory_limit, 0.85, 0.95)
    return np.stack([quota, full, np.zeros_like(full), np.zeros_like(full)], axis=1)


def _suffered(waiting: Numbers, use: Numbers, others: Numbers, beyond: Numbers) -> Numbers:
    """Return 0–1 for each channel.

    CPU: of the time in which the container wanted to run, the part it waited; a service busy a tenth of the time that
    waits another tenth runs at half its speed. Disk: pressure arises from one's own transfers too, so it is shared out
    by bytes; what is waited beyond the usual for them counts as waiting for a CPU does.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        cpu = np.nan_to_num(waiting[:, CPU] / _wanted(waiting[:, CPU], use[:, CPU]))
        share = np.nan_to_num(others[:, DISK] / (others[:, DISK] + use[:, DISK]))
        disk = np.nan_to_num(beyond / _wanted(beyond, use[:, CPU])) * ramp(beyond, *FELT)
    whole = waiting[:, DISK] * ramp(waiting[:, DISK], *FELT)
    return np.stack(
        [
            cpu * ramp(waiting[:, CPU], *FELT),
            waiting[:, MEMORY] * ramp(waiting[:, MEMORY], *FELT),
            share * np.maximum(disk, whole),
            waiting[:, WORK] * ramp(waiting[:, WORK], *SLOWER),
        ],
        axis=1,
    )


def _beyond(window: Window, waiting: Numbers, moved: Numbers) -> Numbers:
    """Return [containers], the waiting for disks beyond what was usual for as many bytes of one's own.

    Usual is what three quarters of the window were above, so a quiet quarter is enough to learn it.
    """
    felt, own = series(window, "io_waiting"), series(window, "disk_io")
    with np.errstate(invalid="ignore", divide="ignore"):
        per_byte = np.where(own > LEAST_BYTES, felt / own, np.nan)
    usual = np.nan_to_num(quantiles(per_byte, (USUAL,))[:, 0]) * moved
    beyond: Numbers = np.clip(waiting - usual, 0.0, 1.0)
    return beyond


def _wanted(waiting: Numbers, use: Numbers) -> Numbers:
    """Return the share of the time in which a container waited for a CPU or had one."""
    wanted: Numbers = waiting + np.minimum(use, 1.0 - waiting)
    return wanted


def _in_containers(others: Numbers, window: Window, use: Numbers) -> Numbers:
    """Return [containers], the part of what runs beside each container that runs in containers.

    Processes outside of containers, such as a build on the host, make containers wait too, and no container is to be
    blamed for them. Where the node's use is unknown there are none.
    """
    node = float(level(window.node_cpu[None, -MOST_COLUMNS:], SMOOTHING, window.step)[0])
    beside = np.maximum(node - use, others)
    part: Numbers = others / np.maximum(beside, 1e-9)
    return part
