"""Reads one source over HTTP, and says so only when it goes down or comes back."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import requests
import structlog
import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from exporter.sections import SourceConfig
from exporter.sources.exposition import Samples

_log = structlog.get_logger(__name__)
_CHUNK = 1 << 18
_MOST_BYTES = 1 << 28
_ACCEPT = {"Accept": "text/plain;version=0.0.4, application/json;q=0.5"}

T = TypeVar("T")


class SourceError(Exception):
    """A read failed; the message says how."""


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What one read of a source gave; ``content`` is None where it failed."""

    source: str
    content: T | None
    duration: float
    """Seconds that the read took."""


class HttpSource(Generic[T]):
    """What is asked over HTTP, such as cAdvisor, a kubelet or cpp-probe.

    ``parse`` makes content of an answer that comes in pieces, and raises ValueError for one that makes no sense;
    ``complaint`` says why what a source serves is not fresh, where that can be read from it.
    """

    def __init__(
        self,
        name: str,
        config: SourceConfig,
        parse: Callable[[Iterator[bytes]], T],
        complaint: Callable[[T], str] = lambda _content: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.errors = 0
        self.up: bool | None = None
        self._config = config
        self._parse, self._complaint = parse, complaint
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy or .netrc of the environment is not meant for a node's own parts
        if not config.verify:
            urllib3.disable_warnings(InsecureRequestWarning)  # else one with each read

    def read(self) -> Reading[T]:
        """Return what the source serves now; never raises."""
        started = self._clock()
        try:
            content = self._parse(self._fetch(started + self._config.timeout))
        except (SourceError, ValueError) as error:
            self.errors += 1
            self._note(up=False, reason=str(error))
            return Reading(self.name, None, self._clock() - started)
        complaint = self._complaint(content)
        self._note(up=not complaint, reason=complaint)
        return Reading(self.name, content, self._clock() - started)

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def _fetch(self, deadline: float) -> Iterator[bytes]:
        url, timeout, size = self._config.url, self._config.timeout, 0
        headers, verify = self._headers(), _trusted(self._config)
        try:
            with self._session.get(url, headers=headers, timeout=timeout, verify=verify, stream=True) as response:
                response.raise_for_status()
                # read1 returns what has come, so that the deadline is looked at even when bytes drip
                while chunk := response.raw.read1(_CHUNK, decode_content=True):
                    size += len(chunk)
                    if self._clock() > deadline:
                        raise SourceError(f"no complete answer within {timeout:g} s")
                    if size > _MOST_BYTES:
                        raise SourceError(f"the answer is over {_MOST_BYTES >> 20} MiB; is this the right address?")
                    yield chunk
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            raise SourceError(str(error)) from error

    def _headers(self) -> dict[str, str]:
        file = self._config.token_file
        if file is None:
            return _ACCEPT
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{file}: holds no readable token ({error})") from error
        return {**_ACCEPT, "Authorization": f"Bearer {token}"}

    def _note(self, *, up: bool, reason: str) -> None:
        if up != self.up:
            if up:
                _log.info("source is up", source=self.name, url=self._config.url)
            else:
                _log.warning("source is down", source=self.name, url=self._config.url, reason=reason)
        self.up = up


def _trusted(config: SourceConfig) -> bool | str:
    """Return what requests takes as ``verify``; a file is read again for each new connection."""
    return str(config.ca_file) if config.verify and config.ca_file else config.verify


def newest(samples: Samples) -> float:
    """Return the newest sample timestamp, epoch seconds; NaN where the source gives none."""
    stamps = [np.nanmax(f.timestamps) for f in samples.values() if not np.isnan(f.timestamps).all()]
    return float(max(stamps)) if stamps else float("nan")
