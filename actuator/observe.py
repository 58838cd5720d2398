"""PromQL to Observation: what Prometheus says of an order's container now."""

from actuator.model import Observation, Order


class Observer:
    """Asks one Prometheus; stateless and safe to share between threads."""

    def __init__(self, url: str, timeout: float, scrape_interval: float) -> None:
        self._url, self._timeout, self._scrape_interval = url.rstrip("/"), timeout, scrape_interval

    def observe(self, order: Order, at: float) -> Observation:
        """Return the state of the order's container at ``at`` (epoch seconds).

        A Prometheus that cannot be reached gives ``reachable`` False, ``sample_age`` infinite and ``firing`` False.
        """
        raise NotImplementedError
