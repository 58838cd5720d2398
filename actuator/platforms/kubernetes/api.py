"""The calls made to the API server, and what its refusals mean."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import stamina
import urllib3
from kubernetes.client import ApiClient, ApiException, CoreV1Api
from pydantic import ValidationError

from actuator.platforms.errors import ConflictError, GoneError, PlatformError, RejectedError, UnavailableError
from actuator.platforms.kubernetes.documents import Node, Pod

_MERGE = "application/strategic-merge-patch+json"
_BUSY = 429
_MOST_WAIT = 10.0


class BusyError(UnavailableError):
    """The API server asks to come back later."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


def _wait(error: Exception) -> bool | float:
    """Come back when the API server says so, at most after _MOST_WAIT seconds."""
    return min(error.after, _MOST_WAIT) if isinstance(error, BusyError) else False


class Api:
    """One API server, as the identity that ``client`` was made for."""

    def __init__(self, client: ApiClient, timeout: float) -> None:
        self._core, self._timeout = CoreV1Api(client), timeout

    def pod(self, namespace: str, name: str) -> Pod:
        """Return a pod. Raises PlatformError."""
        return Pod.model_validate(self._call(self._core.read_namespaced_pod, name, namespace))

    def node(self, name: str) -> Node:
        """Return a node. Raises PlatformError."""
        return Node.model_validate(self._call(self._core.read_node, name))

    def resize(self, namespace: str, name: str, container: str, resources: Mapping[str, Mapping[str, str]]) -> Pod:
        """Ask for other resources of one container. Raises PlatformError."""
        body = {"spec": {"containers": [{"name": container, "resources": resources}]}}
        patch = self._core.patch_namespaced_pod_resize
        return Pod.model_validate(self._call(patch, name, namespace, body, _content_type=_MERGE))

    @stamina.retry(on=_wait, attempts=4)
    def _call(self, method: Callable[..., Any], *arguments: object, **options: object) -> object:
        try:
            answer = method(*arguments, _preload_content=False, _request_timeout=self._timeout, **options)
            return json.loads(answer.data)
        except ApiException as error:
            raise _meaning(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"the API server does not answer: {error}") from error
        except (ValueError, ValidationError) as error:
            raise UnavailableError(f"the API server's answer makes no sense: {error}") from error


def _meaning(error: ApiException) -> PlatformError:
    said = _message(error)
    if error.status == 404:
        return GoneError(said)
    if error.status == 409:
        return ConflictError(said)
    if error.status == _BUSY:
        return BusyError(said, float((error.headers or {}).get("Retry-After", 1)))
    if error.status and 400 <= error.status < 500:
        return RejectedError(said)
    return UnavailableError(said)


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"the API server answers {error.status} {error.reason}"
