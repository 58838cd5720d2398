"""The Docker Engine API over its Unix socket: the few calls needed, with all errors mapped in one place."""

import socket
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import requests
import stamina
from pydantic import BaseModel, ValidationError
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from actuator.platforms.container import Container, Host, Version
from actuator.platforms.errors import (
    ConflictError,
    GoneError,
    PlatformError,
    RejectedError,
    StoppedError,
    UnavailableError,
)

_MESSAGE_LENGTH = 256
D = TypeVar("D", bound=BaseModel)
_CONFLICTS = ("conflict", "is restarting", "is marked for removal")


class _SocketConnection(HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path, self._patience = path, timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._patience)
        self.sock.connect(self._path)


class _SocketPool(HTTPConnectionPool):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker")
        self._path, self._patience = path, timeout

    def _new_conn(self) -> _SocketConnection:
        return _SocketConnection(self._path, self._patience)


class _SocketAdapter(HTTPAdapter):
    """Sends every request to one socket, whatever its host says."""

    def __init__(self, path: str, timeout: float) -> None:
        self._pool = _SocketPool(path, timeout)
        super().__init__()

    def get_connection_with_tls_context(self, *_: object, **__: object) -> HTTPConnectionPool:
        return self._pool

    def close(self) -> None:
        self._pool.close()


class Engine:
    """One engine. Reads are tried again; writes never, since only the caller can tell whether one was carried out."""

    def __init__(self, socket_path: str, timeout: float, attempts: int = 3) -> None:
        self._path, self._attempts = socket_path, attempts
        self._api = ""
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _SocketAdapter(socket_path, timeout))

    def container(self, container_id: str) -> Container:
        """Return what the engine says of a container; raise GoneError where there is none."""
        return self._read(f"/containers/{quote(container_id, safe='')}/json", Container)

    def host(self) -> Host:
        """Return what the engine says of its host."""
        return self._read("/info", Host)

    def update(self, container_id: str, resources: Mapping[str, int]) -> None:
        """Change the resources of a container; only the keys given are changed."""
        self._call("POST", f"/containers/{quote(container_id, safe='')}/update", resources)

    def _read(self, path: str, document: type[D]) -> D:
        answer = stamina.RetryingCaller(attempts=self._attempts, wait_max=1.0)(
            UnavailableError, self._call, "GET", path, None
        )
        return self._valid(answer, document)

    def _valid(self, answer: Mapping[str, Any], document: type[D]) -> D:
        try:
            return document.model_validate(answer)
        except ValidationError as e:
            problem = e.errors()[0]
            raise UnavailableError(f"Docker at {self._path} left {problem['loc']} open: {problem['msg']}") from e

    def _call(self, method: str, path: str, body: Mapping[str, int] | None) -> Mapping[str, Any]:
        # Each engine knows a range of versions, and no one version is in the range of all of them.
        self._api = self._api or f"/v{self._valid(self._send('GET', '/version', None), Version).api_version}"
        try:
            return self._send(method, self._api + path, body)
        except RejectedError as e:
            if "client version" in str(e):
                self._api = ""  # another engine has taken the socket over; the next call asks it
            raise

    def _send(self, method: str, path: str, body: Mapping[str, int] | None) -> Mapping[str, Any]:
        try:
            response = self._session.request(method, f"http://docker{path}", json=body)
            answer = response.json()
        except (requests.RequestException, ValueError) as e:
            raise UnavailableError(f"Docker at {self._path} did not answer properly: {e}"[:_MESSAGE_LENGTH]) from e
        if not isinstance(answer, dict):
            raise UnavailableError(f"Docker at {self._path} answered something other than an object")
        if response.status_code >= 400:
            raise error_of(response.status_code, str(answer.get("message", "")))
        return answer


def error_of(status: int, message: str) -> PlatformError:
    """Map an answer of the engine to the kind of error that tells a caller what to do next.

    The engine answers many of its own refusals with 500, so the text decides what the number leaves open.
    """
    text = message.strip()[:_MESSAGE_LENGTH] or f"Docker answered {status}"
    lower = text.lower()
    if status == 404 and "no such container" in lower:
        return GoneError(text)
    if "is not running" in lower:
        return StoppedError(text)
    if status == 409 or any(word in lower for word in _CONFLICTS):
        return ConflictError(text)
    if status < 500 or "runc did not terminate" in lower or "oci runtime" in lower:
        return RejectedError(text)
    return UnavailableError(text)
