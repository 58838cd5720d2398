"""The exporter's own process, as every program that Prometheus watches tells of itself."""

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

_REGISTRY = CollectorRegistry()
ProcessCollector(registry=_REGISTRY)


def process_metrics() -> bytes:
    """Return the text of CPU, memory and files in use now."""
    return generate_latest(_REGISTRY)
