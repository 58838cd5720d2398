"""Who may ask what: a bearer token from a file, and basic auth users from the web configuration."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import bcrypt

_NOBODY = bcrypt.hashpw(b"nobody", bcrypt.gensalt(rounds=4)).decode()


class TokenError(Exception):
    """The token file cannot be used; the message names the file and the remedy."""


class TokenFile:
    """A bearer token in a file that is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: tuple[int, int, int] | None = None
        self._token = b""

    def token(self) -> bytes:
        """Return the token; raise TokenError where there is none."""
        try:
            stat = self._path.stat()
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if state != self._state:
                self._token, self._state = self._path.read_bytes().strip(), state
        except OSError as error:
            raise TokenError(f"{self._path}: cannot be read ({error.strerror}); write the token into it") from error
        if not self._token:
            raise TokenError(f"{self._path}: is empty; write the token into it")
        return self._token

    def allows(self, authorization: str) -> bool:
        """Tell whether the header carries the token; raise TokenError where that cannot be told."""
        scheme, _, given = authorization.partition(" ")
        given_bytes = given.strip().encode("utf-8", "replace")
        return hmac.compare_digest(given_bytes, self.token()) and scheme.lower() == "bearer"


class BasicUsers:
    """Users with bcrypt hashes. A right password is hashed once: each check costs tens of milliseconds."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = dict(users)
        self._known: set[bytes] = set()

    def allows(self, authorization: str) -> bool:
        """Tell whether the header carries a user's name and password."""
        user, password = _basic(authorization)
        mark = hashlib.sha256(f"{user}\0{self._users.get(user)}\0{password}".encode("utf-8", "replace")).digest()
        if mark in self._known:
            return True
        # An unknown user must cost as much as a known one, or its absence can be told by the time.
        right = _matches(password, self._users.get(user, _NOBODY)) and user in self._users
        if right:
            self._known.add(mark)
        return right


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _matches(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode(), hashed.encode())
    except ValueError:  # longer than bcrypt's 72 bytes
        return False
