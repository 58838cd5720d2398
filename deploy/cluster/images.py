"""The image that the pods of tests run, for the nodes of any number of clusters."""

import fcntl
from pathlib import Path

from deploy.cluster.node import PAUSE
from deploy.demo.containers import Containers, docker
from deploy.setup.builds import WORKLOAD
from deploy.setup.stamps import BUILD, content_key, is_fresh, mark_done

_FOLDER = BUILD / "cluster"


def workload_archive(name: str) -> Path:
    """Return an archive with the workload program as image ``name``, and as what holds a pod's namespaces.

    Docker makes it once, and again when the program changes; of several who ask at once, one makes it for all.
    """
    archive, key = _FOLDER / "workload.tar", content_key([WORKLOAD], name, PAUSE)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_fresh("cluster-workload", key, [archive]):
            _save(name, archive)
            mark_done("cluster-workload", key)
    return archive


def _save(name: str, archive: Path) -> None:
    containers = Containers("cpp-cluster")
    try:
        containers.import_image()
        docker("tag", containers.image, name)
        docker("build", "--tag", PAUSE, "-", stdin=f'FROM {name}\nCMD ["sleep"]\n'.encode())
        docker("save", "--output", str(archive), PAUSE, name)
        docker("rmi", PAUSE, name)
    finally:
        containers.remove_all()
