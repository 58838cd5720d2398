"""Content stamps: a step is done again only when what it is made from has changed or its result is gone."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
BIN = BUILD / "bin"


def content_key(sources: Iterable[Path], *facts: str) -> str:
    """Return a digest of the files' names and bytes and of the ``facts`` (versions, paths)."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    for fact in facts:
        digest.update(f"\0{fact}".encode())
    return digest.hexdigest()


def is_fresh(name: str, key: str, outputs: Sequence[Path]) -> bool:
    """Return whether step ``name`` was done for this ``key`` and its outputs are still there."""
    stamp = BUILD / "stamps" / name
    return stamp.is_file() and stamp.read_text() == key and all(path.exists() for path in outputs)


def mark_done(name: str, key: str) -> None:
    """Remember that step ``name`` was done for ``key``."""
    stamp = BUILD / "stamps" / name
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)
