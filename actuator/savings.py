"""What reclaims save, as metrics: so far, and now."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from actuator.ledger.protocol import Ledger
from actuator.ledger.tallies import PER_UNIT, RECLAIMED
from actuator.records import Held, ThrottleRecord

_SO_FAR = "that reclaims have taken off limits so far, whatever was given again since"
_NOW = "by which limits in force are under what their owners set; what a throttle takes for a while is not in it"
_METRICS = (("cpu", "CPU", "cpu_cores"), ("memory", "Memory", "memory_bytes"))


def savings(ledger: Ledger) -> Iterator[Metric]:
    """Yield both families of both resources. On Kubernetes requests follow their limits, in the owner's proportion."""
    taken = ledger.counters()
    now = saved(ledger.held(), ledger.throttles())
    for resource, what, unit in _METRICS:
        so_far = taken.get((RECLAIMED, resource, ""), 0) / PER_UNIT[resource]
        yield CounterMetricFamily(f"cpp_reclaimed_{unit}", f"{what} {_SO_FAR}.", value=so_far)
        yield GaugeMetricFamily(f"cpp_saved_{unit}", f"{what} {_NOW}.", value=now[resource])


def saved(held: Iterable[Held], throttles: Iterable[ThrottleRecord]) -> dict[str, float]:
    """Return cores of ``cpu`` and bytes of ``memory``; of a throttled container the limit before counts."""
    before = {(each.throttle.target, each.throttle.resource): each.throttle.before for each in throttles}
    sums = {"cpu": 0.0, "memory": 0.0}
    for one in held:
        limit = before.get((one.target, one.resource), one.current)
        if one.owner_limit is not None and limit is not None:
            sums[one.resource] += max(one.owner_limit - limit, 0.0)
    return sums
