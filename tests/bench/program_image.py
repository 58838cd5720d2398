"""Docker images of this machine's own programs: for measurements in containers where there is no image registry."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from deploy.demo.containers import docker
from deploy.setup.builds import WORKLOAD
from deploy.setup.shell import SetupError


def make_program_image(image: str, label: str, program: str) -> None:
    """Make ``image``: the workload program, and ``program`` in /usr/bin with the libraries that it needs."""
    path = shutil.which(program)
    if path is None:
        raise SetupError(f"{program} is not there; run: make setup-tests")
    linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    files = {path: f"usr/bin/{program}", str(WORKLOAD): "workload"}
    files |= {word: word.lstrip("/") for word in linked.split() if word.startswith("/")}
    docker("import", "--change", f"LABEL {label}", "-", image, stdin=_archived(files))


def _archived(files: dict[str, str]) -> bytes:
    """Return a tar of files by where they are and their name in it, and of two folders that anybody may write to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for folder in ("data", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(entry)
        for path, name in files.items():
            archive.add(Path(path), name)
    return buffer.getvalue()
