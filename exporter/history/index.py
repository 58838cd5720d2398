"""Label blocks → rows, looked up again only when a source's list of series changes."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from weakref import ReferenceType, WeakKeyDictionary, ref

import structlog

from exporter.history.identity import Identity
from exporter.sources.exposition import ExpositionError, parse_labels

_log = structlog.get_logger(__name__)
_KNOWN: WeakKeyDictionary[Identity, ReferenceType[Identity]] = WeakKeyDictionary()
"""Each identity once, however many series speak of it, as long as one does."""


Identify = Callable[[dict[str, str]], Identity | None]
"""Labels → whom they speak of."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one label block says."""

    identity: Identity | None
    """Whom the series is about; None where it is no container."""
    label: str
    """Value of the label that tells series of one container apart; empty where there is none."""


class SeriesIndex:
    """Remembers what each label block of one family says, as long as the block is served."""

    def __init__(self, recognise: Identify, label: str = "") -> None:
        self._recognise = recognise
        self._label = label
        self._known: dict[bytes, Entry] = {}
        self._served: list[bytes] = []
        self._entries: list[Entry] = []

    def entries(self, keys: list[bytes]) -> list[Entry]:
        """Return what the label blocks ``keys`` say, in their order."""
        if keys != self._served:
            self._known = {key: self._known.get(key) or self._read(key) for key in keys}
            self._entries = [self._known[key] for key in keys]
            self._served = keys
        return self._entries

    def _read(self, key: bytes) -> Entry:
        try:
            labels = parse_labels(key)
        except ExpositionError as error:
            _log.warning("series left out", reason=str(error))
            return Entry(None, "")
        identity = self._recognise(labels)
        return Entry(identity and _shared(identity), sys.intern(labels.get(self._label, "")))


def _shared(identity: Identity) -> Identity:
    """Return the first of all equal identities."""
    return _KNOWN.setdefault(identity, ref(identity))() or identity
