"""PromQL to Observation: what Prometheus says of an order's container now, in three requests."""

import json
import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from actuator.durations import to_seconds
from actuator.model.knowledge import Observation
from actuator.model.orders import Order, Target

IDENTITY = ("node", "namespace", "pod", "container", "container_id")
_UNITS = {"cpu": "cores", "memory": "bytes"}
TRUTH = "cadvisor"
"""The source whose samples must be fresh: what is used comes from there."""

Sample = tuple[Mapping[str, str], float]


class PrometheusError(Exception):
    """Prometheus could not be reached or did not answer properly."""


class Observer:
    """Asks one Prometheus; safe to share between threads, each of which has connections of its own."""

    def __init__(self, url: str, timeout: float, scrape_interval: float) -> None:
        self._url, self._timeout, self._scrape_interval = url.rstrip("/"), timeout, scrape_interval
        self._own = threading.local()

    def observe(self, order: Order, at: float) -> Observation:
        """Return the state of the order's container at ``at`` (epoch seconds).

        A Prometheus that cannot be reached gives a ``problem``, ``sample_age`` infinite and ``firing`` False.
        """
        began = time.monotonic()
        try:
            firing = any(self._holds(order, expression, at) for expression in self._expressions(order.alert))
            samples, said_at = self._query(_everything(order), at)
        except PrometheusError as e:
            return Observation(at=at, firing=False, sample_age=math.inf, problem=str(e))
        seen = _observation(samples, order.resource, firing, at, self._scrape_interval)
        return replace(seen, clock_skew=_skew(samples, said_at - at - (time.monotonic() - began)))

    def memory_in_use(self, target: Target) -> float | None:
        """Return the largest working set within the last minute, in bytes; None where Prometheus does not know it.

        The working set is what a container has without the file cache that the kernel takes away under pressure. By
        Prometheus' own clock, and whatever the id: on Kubernetes a container that restarts is the same with another.
        """
        place = replace(target, container_id="") if target.pod else target
        selector = ",".join(f"{name}={json.dumps(value)}" for name, value in asdict(place).items() if value)
        try:
            samples, _ = self._query(f"max(max_over_time({_usage_name('memory')}{{{selector}}}[1m]))", None)
        except PrometheusError:
            return None
        return samples[0][1] if samples else None

    def _expressions(self, alert: str) -> Iterable[str]:
        """The expressions of the rules of this name; newer versions of Prometheus narrow the answer themselves."""
        question = {"type": "alert", "rule_name[]": alert, "exclude_alerts": "true"}
        data, _ = self._get("rules", question)
        groups = data.get("groups", [])
        return [rule["query"] for group in groups for rule in group["rules"] if rule["name"] == alert]

    def _holds(self, order: Order, expression: str, at: float) -> bool:
        """Whether the expression has a row for the container; ``for`` and ``keep_firing_for`` play no part."""
        samples, _ = self._query(expression, at)
        return any(_concerns(labels, order) for labels, _ in samples)

    def query(self, expression: str, at: float) -> list[Sample]:
        """Return the rows of an instant vector. Raises PrometheusError."""
        return self._query(expression, at)[0]

    def _query(self, expression: str, at: float | None) -> tuple[list[Sample], float]:
        """Return the samples at ``at``, or now by Prometheus' clock; and what that clock shows."""
        when = {} if at is None else {"time": f"{at:.3f}"}
        data, said_at = self._get("query", {"query": expression, "timeout": f"{self._timeout:g}s", **when})
        if data.get("resultType") != "vector":
            raise PrometheusError(f"the query gives a {data.get('resultType')}, not a vector")
        rows = ((row["metric"], float(row["value"][1])) for row in data["result"])
        return [(labels, value) for labels, value in rows if not math.isnan(value)], said_at

    def _get(self, path: str, parameters: Mapping[str, str]) -> tuple[Mapping[str, Any], float]:
        try:
            response = self._session().get(f"{self._url}/api/v1/{path}", params=parameters, timeout=self._timeout)
            answer = response.json()
        except (requests.RequestException, ValueError) as e:
            raise PrometheusError(f"{self._url}: {e}"[:256]) from e
        if not isinstance(answer, dict) or answer.get("status") != "success":
            error = answer.get("error", "") if isinstance(answer, dict) else "not an object"
            raise PrometheusError(f"{self._url} answered {response.status_code}: {error}"[:256])
        data: Mapping[str, Any] = answer["data"]
        return data, _date(response)

    def _session(self) -> requests.Session:
        """Sessions, of which each keeps its connection open, are not safe to share."""
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        session: requests.Session = self._own.session
        return session


def _concerns(labels: Mapping[str, str], order: Order) -> bool:
    """Rows that name no resource are about the one that the rule's own labels name."""
    same = all(labels.get(name, "") == getattr(order.target, name) for name in IDENTITY)
    return same and labels.get("resource", order.resource) == order.resource


def _everything(order: Order) -> str:
    """One query: instant series by their names, and what must be computed under the label ``ask``."""
    resource, unit = order.resource, _UNITS.get(order.resource)
    if unit is None:
        resource, unit = "cpu", "cores"
    of_container, of_node = _selector(order.target), f"node={json.dumps(order.target.node)}"
    usage = f"{_usage_name(resource)}{{{of_container}}}"
    oom = f"cpp_oom_kills_total{{{of_container}}}"
    computed = {
        "stored": f"max(timestamp({usage}))",
        "peak": f"max(max_over_time({usage}[1d]))",
        "first": f"min(min_over_time(timestamp({usage})[1d:1m]))",
        # A counter first seen at 3 says nothing of when those three were killed.
        "oom": f"max(increase({oom}[1d]))",
    }
    # One selector for all of the container's series: ``or`` ignores names, so of two it would drop the second's.
    more = f"cpp_{resource}_(forecast|limit)_{unit}|cpp_cpu_throttled_ratio|cpp_memory_exhaustion_seconds"
    node = f"cpp_node_{resource}_(forecast|capacity)_{unit}"
    parts = [
        f'{{__name__=~"{_usage_name(resource)}|{more}",{of_container}}}',
        f'{{__name__=~"{node}",{of_node}}}',
        f'cpp_last_sample_timestamp_seconds{{source="{TRUTH}",{of_node}}}',
        *(f'label_replace({expression}, "ask", "{ask}", "", "")' for ask, expression in computed.items()),
    ]
    return " or ".join(parts)


def _usage_name(resource: str) -> str:
    return "cpp_memory_working_set_bytes" if resource == "memory" else "cpp_cpu_usage_cores"


def _selector(target: Target) -> str:
    return ",".join(f"{name}={json.dumps(getattr(target, name))}" for name in IDENTITY)


def _observation(samples: list[Sample], resource: str, firing: bool, at: float, interval: float) -> Observation:
    resource = resource if resource in _UNITS else "cpu"
    unit = _UNITS[resource]
    forecast, limit = f"cpp_{resource}_forecast_{unit}", _highest(samples, f"cpp_{resource}_limit_{unit}")
    first = _asked(samples, "first")
    return Observation(
        at=at,
        firing=firing,
        sample_age=_age(samples, at),
        fresh_within=2 * interval,
        usage=_highest(samples, _usage_name(resource)),
        forecast=_highest(samples, forecast, level="0.9"),
        forecast_top=_highest(samples, forecast, level="0.99"),
        forecast_due_at=_due_at(samples, forecast, limit),
        peak=_asked(samples, "peak"),
        history_seconds=0.0 if first is None else at - first,
        throttled_ratio=_highest(samples, "cpp_cpu_throttled_ratio") or 0.0,
        oom_kills_last_day=_asked(samples, "oom") or 0.0,
        exhaustion_seconds=_highest(samples, "cpp_memory_exhaustion_seconds"),
        node_capacity=_highest(samples, f"cpp_node_{resource}_capacity_{unit}"),
        node_forecast=_highest(samples, f"cpp_node_{resource}_forecast_{unit}", level="0.9"),
    )


def _age(samples: list[Sample], at: float) -> float:
    """The worse of two links: since when Prometheus has not stored the series, and how old it was when stored.

    Their sum would be over two scrape intervals at times where both links work as they should.
    """
    stored, taken = _asked(samples, "stored"), _highest(samples, "cpp_last_sample_timestamp_seconds")
    return math.inf if stored is None or taken is None else max(at - stored, stored - taken)


def _skew(samples: list[Sample], of_prometheus: float) -> float:
    """How far a clock on the way is from ours: Prometheus' own, or the exporter's, whose samples it had too early.

    An exporter's clock that is behind cannot be told from samples that are old, and counts as that.
    """
    stored, taken = _asked(samples, "stored"), _highest(samples, "cpp_last_sample_timestamp_seconds")
    of_node = 0.0 if stored is None or taken is None else max(taken - stored, 0.0)
    return max(of_prometheus, of_node, key=abs)


def _date(response: requests.Response) -> float:
    """HTTP's date is in whole seconds, and always sent by Prometheus."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        raise PrometheusError(f"{response.url} answered without a date") from None


def _due_at(samples: list[Sample], forecast: str, limit: float | None) -> float | None:
    """When the nearest horizon whose .9 forecast exceeds the limit is reached, from its newest sample on."""
    made_at = _highest(samples, "cpp_last_sample_timestamp_seconds")
    over = [
        to_seconds(labels["horizon"])
        for labels, value in samples
        if labels.get("__name__") == forecast and labels.get("level") == "0.9" and limit is not None and value > limit
    ]
    return made_at + min(over) if over and made_at is not None else None


def _highest(samples: list[Sample], metric: str, level: str | None = None) -> float | None:
    values = (v for labels, v in samples if labels.get("__name__") == metric and level in (None, labels.get("level")))
    return max(values, default=None)


def _asked(samples: list[Sample], ask: str) -> float | None:
    return next((value for labels, value in samples if labels.get("ask") == ask), None)
