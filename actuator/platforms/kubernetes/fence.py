"""A client that changes nothing unless this replica leads, whatever thread asks and whatever it waited for."""

from collections.abc import Callable
from typing import Any

from kubernetes.client import ApiClient, Configuration

from actuator.leader import LONGEST_CHANGE
from actuator.platforms.errors import UnavailableError


class FencedClient(ApiClient):
    """Refuses each request that is more than a question while ``leads`` says no, and gives it up in time."""

    def __init__(self, configuration: Configuration, leads: Callable[[], bool]) -> None:
        super().__init__(configuration)
        self._leads = leads

    def call_api(self, method: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as its base has it
        """Send the request; raise UnavailableError where this replica does not lead."""
        if method != "GET":
            if not self._leads():
                raise UnavailableError("this replica does not lead any more")
            # What is asked for just before the lease runs out must be over before the next leader begins.
            options["_request_timeout"] = min(options.get("_request_timeout") or LONGEST_CHANGE, LONGEST_CHANGE)
        return super().call_api(method, *arguments, **options)
