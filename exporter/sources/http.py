"""Reads one source over HTTP, and says so only when it goes down or comes back."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import requests
import structlog
from urllib3.exceptions import HTTPError

from exporter.config import SourceConfig
from exporter.sources.exposition import NO_SAMPLES, ExpositionError, Samples, parse_chunks

_log = structlog.get_logger(__name__)
_CHUNK = 1 << 18
_MOST_BYTES = 1 << 28
SELDOM = 4
"""One reading in so many has the families that are read seldom."""
_ACCEPT = {"Accept": "text/plain;version=0.0.4"}


class SourceError(Exception):
    """A read failed; the message says how."""


@dataclass(frozen=True)
class Reading:
    """What one read of a source gave; ``samples`` is None where it failed."""

    source: str
    samples: Samples | None
    duration: float
    """Seconds that the read took."""


class HttpSource:
    """A scrape target such as cAdvisor, a kubelet or cpp-probe."""

    def __init__(
        self,
        name: str,
        config: SourceConfig,
        wanted: frozenset[str],
        health: str = "",
        seldom: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``health`` is the family by which a source says of itself, with a 0, that what it serves is not fresh; ``seldom``
        are families taken with every SELDOM-th reading only."""
        self.name = name
        self.errors = 0
        self.up: bool | None = None
        self._config = config
        self._wanted, self._seldom, self._health = wanted, seldom, health
        self._reads = 0
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy or .netrc of the environment is not meant for a node's own parts

    def read(self) -> Reading:
        """Return what the source serves now; never raises."""
        started = self._clock()
        seldom: frozenset[str] = frozenset() if self._reads % SELDOM else self._seldom
        self._reads += 1
        try:
            samples = parse_chunks(self._fetch(started + self._config.timeout), self._wanted, seldom)
        except (SourceError, ExpositionError) as error:
            self.errors += 1
            self._note(up=False, reason=str(error))
            return Reading(self.name, None, self._clock() - started)
        told = samples.get(self._health, NO_SAMPLES)
        self._note(up=bool(told.values.all()), reason=f"it answers, but says {self._health} 0: its log has the reason")
        return Reading(self.name, samples, self._clock() - started)

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def _fetch(self, deadline: float) -> Iterator[bytes]:
        headers, size = self._headers(), 0
        try:
            with self._session.get(
                self._config.url, headers=headers, timeout=self._config.timeout, stream=True
            ) as response:
                response.raise_for_status()
                # read1 returns what has come, so that the deadline is looked at even when bytes drip
                while chunk := response.raw.read1(_CHUNK, decode_content=True):
                    size += len(chunk)
                    if self._clock() > deadline:
                        raise SourceError(f"no complete answer within {self._config.timeout:g} s")
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


def newest(samples: Samples) -> float:
    """Return the newest sample timestamp, epoch seconds; NaN where the source gives none."""
    stamps = [np.nanmax(f.timestamps) for f in samples.values() if not np.isnan(f.timestamps).all()]
    return float(max(stamps)) if stamps else float("nan")
