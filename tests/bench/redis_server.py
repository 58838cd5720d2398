"""A redis to load, on loopback: as a bare process, and in a container with Docker's usual filter of system calls."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the harness that starts the parts is no installed package

from program_image import make_program_image

from deploy.demo.children import start_child, stop_child
from deploy.demo.containers import docker, main_pid

RUN = "cpp-probe-bench"
_LABEL, _IMAGE, _NAME = f"cpp.run={RUN}", f"{RUN}/redis", f"{RUN}-redis"


@contextmanager
def in_process(folder: Path, port: int) -> Iterator[int]:
    """Run it on ``port``, its log in ``folder``; yield its process."""
    child = start_child("redis", _command(port), folder / "redis.log")
    try:
        _wait_for(port)
        yield child.pid
    finally:
        stop_child(child)


@contextmanager
def in_container(_folder: Path, port: int) -> Iterator[int]:
    """Run it on ``port`` in the host's network; yield its process."""
    make_program_image(_IMAGE, _LABEL, "redis-server")
    docker("rm", "--force", _NAME)
    options = ["--detach", "--network=host", "--name", _NAME, "--label", _LABEL, "--workdir=/data"]
    try:
        docker("run", *options, _IMAGE, *_command(port))
        _wait_for(port)
        yield main_pid(_NAME)
    finally:
        docker("rm", "--force", _NAME)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _command(port: int) -> list[str]:
    return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"redis does not answer on port {port}")
