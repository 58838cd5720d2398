"""A few threads for what may have to wait, such as a limit until it is in force, so that nothing else waits with it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import structlog

from actuator.ledger.database import LedgerError
from actuator.metrics import Meters

_HANDS = 8
_log = structlog.get_logger(__name__)


class Crew:
    """Threads that do one work each, and give the right to touch its container back at the end.

    Only one thread, the worker's, may call the methods.
    """

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._threads = ThreadPoolExecutor(_HANDS, thread_name_prefix="crew")
        self._begun: list[Future[None]] = []

    @property
    def free(self) -> int:
        """How many works begun now would not wait for a thread."""
        self._begun = [work for work in self._begun if not work.done() or work.exception()]
        return max(_HANDS - len(self._begun), 0)

    def begin(self, right: AbstractContextManager[object], work: Callable[[], None]) -> None:
        """Do ``work`` in another thread, and leave ``right`` after it."""
        self._begun.append(self._threads.submit(self._do, right, work))

    def wait(self) -> None:
        """Return when nothing is under way."""
        while self._begun:
            self._begun.pop().result()

    def _do(self, right: AbstractContextManager[object], work: Callable[[], None]) -> None:
        with right:
            try:
                work()
            except LedgerError as error:
                _log.error("ledger lost", detail=str(error))
            except Exception:  # what nobody foresaw in one work must not end the thread of the others
                _log.exception("worker error")
                self._meters.worker_errors.inc()
