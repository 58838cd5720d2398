"""Containers of a run: made from an image without a registry, named and labelled so that all can be removed."""

import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.setup.builds import WORKLOAD
from deploy.setup.shell import SetupError
from deploy.setup.stamps import content_key

_OWNER_LABEL = "cpp.run"


@dataclass
class Containers:
    """The containers and the image of one run, whose name is the prefix of theirs."""

    run: str
    image: str = field(init=False)

    def __post_init__(self) -> None:
        self.image = f"{self.run}/workload:{content_key([WORKLOAD])[:12]}"

    def import_image(self) -> None:
        """Make the image: the static workload program and nothing else."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for folder in ("data", "tmp", "etc"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
                tar.addfile(entry)
            tar.add(WORKLOAD, "workload")
        change = ["--change", f"LABEL {_OWNER_LABEL}={self.run}", "--change", 'ENTRYPOINT ["/workload"]']
        docker("import", *change, "-", self.image, stdin=archive.getvalue())

    def start(self, name: str, arguments: Sequence[str], options: Sequence[str] = ()) -> str:
        """Run the workload program with ``arguments``; return the container's full id."""
        label = f"{_OWNER_LABEL}={self.run}"
        return docker(
            "run", "--detach", "--name", f"{self.run}-{name}", "--label", label, *options, self.image, *arguments
        ).strip()

    def remove(self, name: str) -> None:
        """Remove one container; nothing happens when it is gone already."""
        docker("rm", "--force", "--volumes", f"{self.run}-{name}")

    def remove_all(self) -> None:
        """Remove every container and image of this run, also those of a run that crashed."""
        label = f"label={_OWNER_LABEL}={self.run}"
        if containers := docker("ps", "--all", "--quiet", "--filter", label).split():
            docker("rm", "--force", "--volumes", *containers)
        if images := docker("images", "--quiet", "--filter", label).split():
            docker("rmi", "--force", *images)


def inspect(container: str) -> dict[str, Any]:
    """Return what Docker knows of a container."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return found[0]


def docker(*arguments: str, stdin: bytes | None = None) -> str:
    """Run Docker's client; return its output, or raise SetupError with its complaint."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False, timeout=120)
    if done.returncode:
        raise SetupError(f"docker {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def main_pid(container: str) -> int:
    """Return the host's number of the container's first process."""
    return int(inspect(container)["State"]["Pid"])


def path_in_proc(container: str, file: str) -> Path:
    """Return the path of a file of the container's first process under /proc."""
    return Path(f"/proc/{main_pid(container)}/{file}")
