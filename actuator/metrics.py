"""The actuator's /metrics: the ledger as it stands, read at each scrape."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actuator.certificates import validity
from actuator.config import AdmissionConfig, ConfigError
from actuator.gate import Gate
from actuator.ledger.database import LedgerError
from actuator.ledger.journal import KNOWN_INTENTS, UNKNOWN
from actuator.ledger.protocol import Ledger
from actuator.ledger.tallies import ENDS, RESERVATIONS
from actuator.model.orders import OrderState
from actuator.savings import savings

_IDENTITY = ["node", "namespace", "pod", "container", "container_id"]
_OUTCOMES = ("done", "reverted", "failed", "cancelled", "dry_run", "refused")
_ALERTS = ("opened", "refreshed", "resolved", "refused", "ignored")
_PLAIN_COUNTERS = {
    "deliveries": ("cpp_deliveries", "Bodies that Alertmanager posted and that were recorded."),
    "truncated": ("cpp_truncated_alerts", "Alerts that Alertmanager left out of a body, by its max_alerts."),
}


class Meters:
    """What the process itself counts, since it must be counted also when the ledger cannot be written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.worker_errors = Counter(
            "cpp_worker_errors", "Orders or passes that ended in an error nobody foresaw.", registry=registry
        )
        self.rejections = Counter(
            "cpp_webhook_rejections", "Requests not taken, by HTTP status.", ["code"], registry=registry
        )
        for code in ("400", "401", "413", "503"):
            self.rejections.labels(code)


def show_expiry(registry: CollectorRegistry, section: AdmissionConfig) -> None:
    """Serve when the webhook's certificate ends; NaN where it cannot be used."""

    def ends() -> float:
        try:
            return validity(section).ends
        except ConfigError:
            return math.nan

    Gauge(
        "cpp_steering_certificate_expiry_timestamp_seconds",
        "When the certificate ends with which new pods are steered.",
        registry=registry,
    ).set_function(ends)


class LedgerCollector(Collector):
    """Makes new families at each scrape, so that what ended leaves no series behind."""

    def __init__(self, ledger: Ledger, gate: Gate, dry_run: bool, leads: Callable[[], bool]) -> None:
        self._ledger, self._gate, self._dry_run, self._leads = ledger, gate, dry_run, leads

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registration must not read the ledger."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every family; where the ledger cannot be read, only that it is so.

        What is held and open is the leader's to say: another replica's ledger has it as it once was.
        """
        leads = self._leads()
        try:
            families = [*self._counters(), *((*self._effects(), *self._states()) if leads else ())]
        except LedgerError:
            families = []
        yield from families
        up = bool(families) and self._ledger.writable
        yield _gauge(
            "cpp_ledger_up", "Whether the ledger can be read and the last change is on disk, 0 or 1.", float(up)
        )
        yield _gauge("cpp_leader", "Whether this is the replica that works, 0 or 1.", float(leads))
        yield _gauge("cpp_dry_run", "Whether plans are only recorded, 0 or 1.", float(self._dry_run))

    def _effects(self) -> Iterator[Metric]:
        cpu = GaugeMetricFamily(
            "cpp_reservation_cpu_cores", "CPU held for a container and not given.", labels=_IDENTITY
        )
        memory = GaugeMetricFamily(
            "cpp_reservation_memory_bytes", "Memory held for a container and not given.", labels=_IDENTITY
        )
        due = GaugeMetricFamily(
            "cpp_reservation_due_timestamp_seconds",
            "When the demand is forecast to arrive for which a reservation is held.",
            labels=[*_IDENTITY, "resource"],
        )
        for _, held in self._ledger.reservations():
            identity = list(astuple(held.target))
            (cpu if held.resource == "cpu" else memory).add_metric(identity, held.amount)
            due.add_metric([*identity, held.resource], held.due_at)
        yield from (cpu, memory, due, self._throttles(), *savings(self._ledger))

    def _throttles(self) -> Metric:
        family = GaugeMetricFamily(
            "cpp_throttle_active", "1 while a throttle holds the container.", labels=[*_IDENTITY, "resource"]
        )
        for record in self._ledger.throttles():
            family.add_metric([*astuple(record.throttle.target), record.throttle.resource], 1.0)
        return family

    def _counters(self) -> Iterator[Metric]:
        counts = self._ledger.counters()
        for name, (metric, text) in _PLAIN_COUNTERS.items():
            yield CounterMetricFamily(metric, text, value=counts.get((name, "", ""), 0))
        actions = CounterMetricFamily(
            "cpp_actions", "Steps by what became of them, and refused tries.", labels=["intent", "outcome"]
        )
        for intent in sorted((*KNOWN_INTENTS, UNKNOWN)):
            for outcome in _OUTCOMES:
                actions.add_metric([intent, outcome], counts.get(("actions", intent, outcome), 0))
        yield actions
        yield _labelled("cpp_alerts", "Alerts by what was made of them.", "verdict", _ALERTS, counts, "alerts")
        yield _labelled(
            "cpp_reservations_ended", "Reservations by what became of them.", "end", ENDS, counts, RESERVATIONS
        )
        refusals = sorted(label for name, label, _ in counts if name == "refusals")
        yield _labelled("cpp_refusals", "Refused tries by reason.", "reason", refusals, counts, "refusals")

    def _states(self) -> Iterator[Metric]:
        orders = GaugeMetricFamily("cpp_orders", "Orders remembered, by state.", labels=["state"])
        found = self._ledger.orders_by_state()
        for state in OrderState:
            orders.add_metric([state], found.get(state, 0))
        yield orders
        paused = GaugeMetricFamily("cpp_paused", "1 while nothing new is done, by reason.", labels=["reason"])
        paused.add_metric(["paused"], float(self._gate.paused))
        paused.add_metric(["watchdog_silent"], float(self._gate.silent))
        yield paused
        last = self._gate.last_heard
        if last is not None:
            yield _gauge("cpp_watchdog_last_timestamp_seconds", "When the watchdog alert was last heard.", last)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(
    metric: str, text: str, label: str, values: Iterable[str], counts: dict[tuple[str, str, str], int], name: str
) -> Metric:
    family = CounterMetricFamily(metric, text, labels=[label])
    for value in values:
        family.add_metric([value], counts.get((name, value, ""), 0))
    return family
