"""What surrounds the training child: its scratch folder and the environment that it is handed."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import exporter

_PREFIX = "cpp-training-"
_STALE = 86400.0
"""Seconds after which a scratch folder belongs to no pass that still runs."""
_PACKAGES = str(Path(exporter.__file__).parents[1])
"""The child must find this very package, installed or in a checkout, wherever it runs."""
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder of its own for a pass; raise OSError."""
    return tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)


def environment() -> dict[str, str]:
    """Return the little of our own environment that the child needs; it works in one thread."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    needed = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("PYTHON")}
    told = [str(Path(path).absolute()) for path in needed.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**needed, **threads, "PYTHONPATH": os.pathsep.join([_PACKAGES, *told])}


def remove_left_over(own: Path) -> None:
    """Remove scratch folders of this user that are long older than ``own``; never what a link leads to."""
    newest = own.stat().st_mtime
    with os.scandir(own.parent) as entries:
        beside = [entry for entry in entries if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False)]
    for entry in beside:
        try:
            about = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # its owner was faster
            continue
        if about.st_uid == os.getuid() and about.st_mtime < newest - _STALE:
            shutil.rmtree(entry.path, ignore_errors=True)
