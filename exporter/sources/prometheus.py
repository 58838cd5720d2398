"""Past samples from Prometheus, through prometheus-api-client."""

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests import RequestException
from requests.adapters import Retry

Series = tuple[NDArray[np.float64], NDArray[np.float64]]
_MOST_POINTS = 10_000  # Prometheus refuses answers of over 11,000 points a series


class HistoryUnavailableError(OSError):
    """Prometheus could not be asked; the message says why."""


def fetch_range(url: str, query: str, start: float, end: float, step: float, timeout: float) -> dict[str, Series]:
    """Return (timestamps, values) of each series of a range query, by its labels written as in PromQL.

    ``start`` and ``end`` are epoch seconds, ``step`` and ``timeout`` seconds; raise HistoryUnavailableError.
    """
    return {_write(labels): series for labels, series in fetch_labelled(url, query, (start, end), step, timeout)}


def fetch_labelled(
    url: str, query: str, span: tuple[float, float], step: float, timeout: float
) -> list[tuple[dict[str, str], Series]]:
    """Return the labels and (timestamps, values) of each series of a range query over ``span``, as ``fetch_range``."""
    found: dict[tuple[tuple[str, str], ...], list[list[object]]] = {}
    start, end = span
    try:
        client = PrometheusConnect(url=url, retry=Retry(total=1, backoff_factor=0.2), timeout=max(1, int(timeout)))
        while start <= end:
            until = min(end, start + _MOST_POINTS * step)
            for series in client.custom_query_range(query, _time(start), _time(until), f"{step:g}s"):
                found.setdefault(tuple(sorted(series["metric"].items())), []).extend(series["values"])
            start = until + step
    except (PrometheusApiClientException, RequestException, OSError, ValueError, KeyError, TypeError) as error:
        raise HistoryUnavailableError(f"{url}: {error}") from error
    return [(dict(labels), _arrays(values)) for labels, values in found.items()]


def _time(epoch: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=epoch)


def _arrays(values: list[list[object]]) -> Series:
    table = np.array(values, np.float64)
    return table[:, 0], table[:, 1]


def _write(labels: dict[str, str]) -> str:
    name = labels.get("__name__", "")
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    return f"{name}{{{inner}}}"
