"""Rates and gauges of both sources → signals and limits, the derived ones included."""

import numpy as np

from exporter.history.counters import Doubles
from exporter.history.signals import SIGNALS
from exporter.history.snapshot import Allocation
from exporter.sources.families import CADVISOR_COUNTERS, CADVISOR_GAUGES, PROBE_COUNTERS, Wanted

_NO_LIMIT = 2.0**60  # cgroups write a huge number of bytes for "none"
_SHARES_PER_CORE = 1024.0


def combine(cadvisor: Doubles, probe: Doubles, gauges: Doubles, calls: Doubles) -> Doubles:
    """Return [rows, signals] from rates [rows, counters] of both sources, gauges, and summed call rates [rows, 2].

    Where both sources count the same thing, the larger is taken: cAdvisor's disk and pressure counters stay at zero
    on cgroup v1 hosts, the probe's may miss what was written back later.
    """
    found: dict[str, Doubles] = {}
    tables: tuple[tuple[tuple[Wanted, ...], Doubles], ...] = (
        (CADVISOR_COUNTERS, cadvisor),
        (PROBE_COUNTERS, probe),
        (CADVISOR_GAUGES, gauges),
    )
    for entries, rates in tables:
        for column, entry in enumerate(entries):
            found[entry.signal] = np.fmax(found.get(entry.signal, np.nan), rates[:, column])
    found["syscalls"], found["connections"] = calls[:, 0], calls[:, 1]
    found["disk_io"] = _sum(found["disk_read"], found["disk_write"])
    found["network_io"] = _sum(found["network_receive"], found["network_transmit"])
    found["network_packets"] = _sum(found["network_packets_in"], found["network_packets_out"])
    found["cpu_throttled"] = _throttled(found)
    return np.column_stack([found[name] for name in SIGNALS])


def allocation(gauges: Doubles) -> Allocation:
    """Return the limits in force from cAdvisor's gauges [rows, gauges]."""
    value = {gauge.signal: gauges[:, column] for column, gauge in enumerate(CADVISOR_GAUGES)}
    with np.errstate(invalid="ignore", divide="ignore"):
        cores = value["cpu_quota"] / value["cpu_period"]
    unset = np.full(len(cores), np.nan)
    return Allocation(_set(cores), _set(value["memory_limit"]), unset, _set(value["memory_request"]))


def allocatable(gauges: Doubles) -> Doubles:
    """Return cores and bytes that a control group may use, from cAdvisor's gauges [gauges] of it; NaN where unset.

    A kubelet gives the group of all pods the shares and the memory that its node can allocate.
    """
    value = {gauge.signal: gauges[column] for column, gauge in enumerate(CADVISOR_GAUGES)}
    return _set(np.array([value["cpu_shares"] / _SHARES_PER_CORE, value["memory_limit"]]))


def _set(amount: Doubles) -> Doubles:
    return np.where((amount > 0) & (amount < _NO_LIMIT), amount, np.nan)


def _sum(left: Doubles, right: Doubles) -> Doubles:
    both_unknown = np.isnan(left) & np.isnan(right)
    return np.where(both_unknown, np.nan, np.nan_to_num(left) + np.nan_to_num(right))


def _throttled(found: dict[str, Doubles]) -> Doubles:
    periods, throttled = found["cpu_periods"], found["cpu_throttled_periods"]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(periods > 0, np.minimum(throttled / periods, 1), 0.0)
    return np.where(np.isnan(found["cpu"]), np.nan, share)
