"""One way to ask the API server: in time, again when it says so, and with its refusals in this program's words."""

import json
from collections.abc import Callable
from typing import Any

import stamina
import urllib3
from kubernetes.client import ApiException
from pydantic import ValidationError

from actuator.platforms.errors import ConflictError, GoneError, PlatformError, RejectedError, UnavailableError

Document = dict[str, Any]

_BUSY = 429
_MOST_WAIT = 10.0


class BusyError(UnavailableError):
    """The API server asks to come back later."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


class Calls:
    """Makes the calls of generated clients. A busy API server is asked ``attempts`` times, each within ``timeout``."""

    def __init__(self, timeout: float, attempts: int = 4) -> None:
        self._timeout, self._attempts = timeout, attempts

    def __call__(self, method: Callable[..., Any], *arguments: object, **options: object) -> Document:
        """Return the answer's document. Raises PlatformError."""
        try:
            document: Document = json.loads(self.text(method, *arguments, **options))
        except ValueError as error:
            raise UnavailableError(f"the API server's answer makes no sense: {error}") from error
        return document

    def text(self, method: Callable[..., Any], *arguments: object, **options: object) -> bytes:
        """Return the answer as it came. Raises PlatformError."""
        for attempt in stamina.retry_context(on=_wait, attempts=self._attempts):
            with attempt:
                return self.once(method, *arguments, **options)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def once(self, method: Callable[..., Any], *arguments: object, **options: object) -> bytes:
        """Return the answer as ``text`` does, and do not ask again. Raises PlatformError."""
        try:
            answer = method(*arguments, _preload_content=False, _request_timeout=self._timeout, **options)
            text: bytes = answer.data
            return text
        except ApiException as error:
            raise _meaning(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"the API server does not answer: {error}") from error
        except (ValueError, ValidationError) as error:
            raise UnavailableError(f"the API server's answer makes no sense: {error}") from error


def _wait(error: Exception) -> bool | float:
    """Come back when the API server says so; a longer wait is the order's, not the call's."""
    return error.after if isinstance(error, BusyError) and error.after <= _MOST_WAIT else False


def _meaning(error: ApiException) -> PlatformError:
    said = _message(error)
    if error.status == 404:
        return GoneError(said)
    if error.status == 409:
        return ConflictError(said)
    if error.status == _BUSY:
        return BusyError(said, _seconds((error.headers or {}).get("Retry-After", "")))
    if error.status and 400 <= error.status < 500:
        return RejectedError(said)
    return UnavailableError(said)


def _seconds(text: str) -> float:
    """The header may hold a date too, which is not worth a clock."""
    return float(text) if text.isdigit() else 1.0


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"the API server answers {error.status} {error.reason}"
