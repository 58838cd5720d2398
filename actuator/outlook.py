"""PromQL to Outlook: what is forecast for nodes, and what the pods of one node do to each other, in two requests."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from actuator.model.orders import Order, Target
from actuator.observe import IDENTITY, TRUTH, Sample

Query = Callable[[str, float], list[Sample]]

_NODES = "cpp_node_(cpu|memory)_(forecast|capacity)_(cores|bytes)"
_PODS = (
    "cpp_(cpu|memory)_forecast_(cores|bytes)|cpp_memory_working_set_bytes|cpp_security_risk_ratio"
    "|cpp_interference_(suffered|caused)_ratio"
)
_CULPRIT = 'cpp_alarm_threshold_ratio{score="interference_caused"}'
_TAKEN = f'cpp_last_sample_timestamp_seconds{{source="{TRUTH}"}}'
_BROKEN = "max by (namespace, node) (cpp_policy_violation_active > 0)"
_COUNTS_FOR = 5.0
_MOST_STALE = 4.0
"""A node whose newest sample is older than so many scrape intervals has no forecast to rely on."""


@dataclass
class PodOutlook:
    """What Prometheus says of one pod: sums over its containers, and the worst of their scores."""

    forecast: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    warm_bytes: float = 0.0
    suffered: float = 0.0
    caused: float = 0.0
    risk: float = 0.0
    heaviest: Target | None = None
    """The container that causes most, else the one that is forecast to use most."""


@dataclass(frozen=True)
class Outlook:
    """Forecasts of nodes by (node, resource), and the order's node's pods by (namespace, name)."""

    forecasts: Mapping[tuple[str, str], float]
    capacities: Mapping[tuple[str, str], float]
    pods: Mapping[tuple[str, str], PodOutlook]
    broken: Collection[tuple[str, str]]
    """Where a co-tenancy policy is broken now: by whose pods (the namespace is the tenant), and on which node."""
    culprit_from: float
    """Part in the trouble of others from which a container counts as a culprit."""


class Scout:
    """Asks one Prometheus, by ``query(expression, at)``."""

    def __init__(self, query: Query, scrape_interval: float) -> None:
        self._query, self._scrape_interval = query, scrape_interval
        self._nodes: tuple[float, list[Sample]] = -_COUNTS_FOR, []

    def look(self, order: Order, at: float) -> Outlook:
        """Return the outlook at epoch seconds ``at``. Raises PrometheusError."""
        here = f'{{__name__=~"{_PODS}",node={json.dumps(order.target.node)},level=~"0.9|"}} or {_CULPRIT}'
        nodes, pods = self._everywhere(at), self._query(here, at)
        fresh = self._fresh(nodes, at)
        thresholds = [value for labels, value in pods if labels.get("__name__") == "cpp_alarm_threshold_ratio"]
        return Outlook(
            _highest(nodes, "forecast", fresh),
            _highest(nodes, "capacity", fresh),
            _pods(pods, order),
            {(labels["namespace"], labels["node"]) for labels, _ in nodes if set(labels) == {"namespace", "node"}},
            max(thresholds, default=0.0),
        )

    def _everywhere(self, at: float) -> list[Sample]:
        """One answer serves all orders of some seconds: it grows with the cluster."""
        if not 0 <= at - self._nodes[0] < _COUNTS_FOR:
            everywhere = f'{{__name__=~"{_NODES}",level=~"0.9|"}} or {_TAKEN} or {_BROKEN}'
            self._nodes = at, self._query(everywhere, at)
        return self._nodes[1]

    def _fresh(self, samples: Iterable[Sample], at: float) -> set[str]:
        oldest = at - _MOST_STALE * self._scrape_interval
        taken = (each for each in samples if each[0].get("__name__") == "cpp_last_sample_timestamp_seconds")
        return {labels.get("node", "") for labels, value in taken if value >= oldest}


def _highest(samples: Iterable[Sample], kind: str, nodes: set[str]) -> Mapping[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for labels, value in samples:
        _, _, resource, what, *_ = (*labels.get("__name__", "").split("_"), "", "", "", "")
        if what == kind and labels.get("node") in nodes:
            which = labels["node"], resource
            found[which] = max(found.get(which, value), value)
    return found


def _pods(samples: Iterable[Sample], order: Order) -> Mapping[tuple[str, str], PodOutlook]:
    """Of the horizons the highest counts, then the containers of a pod add up."""
    by_container: dict[tuple[Target, str], float] = defaultdict(float)
    for labels, value in samples:
        name = labels.get("__name__", "")
        if labels.get("pod") and _concerns(name, labels, order):
            target = Target(*(labels.get(label, "") for label in IDENTITY))
            by_container[target, name] = max(by_container[target, name], value)
    pods: dict[tuple[str, str], PodOutlook] = defaultdict(PodOutlook)
    for (target, name), value in sorted(by_container.items(), key=lambda each: each[1]):
        _add(pods[target.namespace, target.pod], target, name, value)
    return pods


def _concerns(name: str, labels: Mapping[str, str], order: Order) -> bool:
    """Interference counts where it is of the order's kind, and blame where it is laid for the order's container."""
    if not name.startswith("cpp_interference_"):
        return True
    if order.resource not in ("", labels.get("resource")):
        return False
    own = (labels.get("namespace"), labels["pod"]) == (order.target.namespace, order.target.pod)
    if name == "cpp_interference_suffered_ratio":
        return True
    return not own and labels.get("victim") == (order.target.container or order.target.pod)


def _add(pod: PodOutlook, target: Target, name: str, value: float) -> None:
    match name.removeprefix("cpp_").split("_"):
        case [("cpu" | "memory") as resource, "forecast", _]:
            pod.forecast[resource] += value
            pod.heaviest = target if not pod.caused and target.container else pod.heaviest
        case ["memory", "working", *_]:
            pod.warm_bytes += value
        case ["security", *_]:
            pod.risk = max(pod.risk, value)
        case ["interference", "suffered", _]:
            pod.suffered = max(pod.suffered, value)
        case ["interference", "caused", _]:
            pod.caused, pod.heaviest = max(pod.caused, value), target
