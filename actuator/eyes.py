"""What is seen of the containers of several orders at once, since most of the time is spent waiting for answers."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Refusal
from actuator.model.knowledge import Allocation, Observation
from actuator.model.orders import Order
from actuator.platforms.errors import PlatformError
from actuator.platforms.protocol import Platform
from actuator.seams import Observer

_MOST = 8
Seen = tuple[Allocation | None, Observation] | Refusal
"""Limits, None for a container that is gone, and what Prometheus says; or why neither is known."""


class Eyes:
    """Threads that ask platform and Prometheus. ``clock`` gives epoch seconds."""

    def __init__(self, ledger: Ledger, platform: Platform, observer: Observer, clock: Callable[[], float]) -> None:
        self._ledger, self._platform, self._observer, self._clock = ledger, platform, observer, clock
        self._threads = ThreadPoolExecutor(_MOST, thread_name_prefix="eyes")

    def look(self, orders: Iterable[Order]) -> list[Future[Seen]]:
        """Look at the container of each order; return when all is seen. Each result may raise LedgerError."""
        seen = [self._threads.submit(self._look, order) for order in orders]
        wait(seen)
        return seen

    def _look(self, order: Order) -> Seen:
        try:
            allocation = self._platform.inspect(order.target)
        except PlatformError as error:
            return Refusal("platform_unavailable", str(error), retryable=True)
        at = self._clock()
        if allocation is not None and allocation.running:  # a stopped one has no limits to compare
            self._ledger.note_allocation(order.target, allocation, at)
        return allocation, self._observer.observe(order, at)
