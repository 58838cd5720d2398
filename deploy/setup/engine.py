"""Docker's daemon: used when it runs, started by hand when it does not, and stopped only by who started it."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from deploy.setup.shell import SetupError, say, spawn, uninterrupted
from deploy.setup.stamps import BUILD

_PID_FILE = Path("/var/run/docker.pid")
_ANSWER_SECONDS = 30.0
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LIKELY_CAUSE = "look at DOCKER_HOST, at docker context ls, and at the right to use the daemon's socket"


def engine_answers() -> bool:
    """Return whether a Docker daemon answers the client on the PATH; raise SetupError when one is there but mute."""
    client = shutil.which("docker")
    if client is None:
        return False
    try:
        done = subprocess.run([client, "info"], capture_output=True, check=False, timeout=_ANSWER_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"docker info gave no answer in {_ANSWER_SECONDS:.0f} s; {_LIKELY_CAUSE}") from error
    return done.returncode == 0


def start_engine(owner: str) -> bool:
    """Make sure that a daemon answers; return whether it was started here, in the name of ``owner``."""
    if engine_answers():
        return False
    daemon = shutil.which("dockerd") or "/usr/sbin/dockerd"
    if not Path(daemon).exists():
        raise SetupError("Docker does not answer and dockerd is not installed; run: make setup")
    _clear_pid_file()
    say("engine: no Docker daemon answers; starting dockerd")
    log = BUILD / "engine/dockerd.log"
    log.unlink(missing_ok=True)
    with uninterrupted():
        pid = spawn([daemon], log)
        _owner_file(owner).write_text(str(pid))
    deadline = time.monotonic() + _START_SECONDS
    while not engine_answers():
        if not _is_dockerd(pid) or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise SetupError(f"dockerd did not come up; the end of {log}:\n{tail}")
        time.sleep(0.5)
    return True


def stop_engine(owner: str) -> None:
    """Stop the daemon if ``owner`` had started it, and leave any other alone."""
    remembered = _owner_file(owner)
    if not remembered.exists():
        return
    pid = int(remembered.read_text())
    remembered.unlink()
    if not _is_dockerd(pid):
        return
    say("engine: stopping the dockerd that was started for this run")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _is_dockerd(pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    if _is_dockerd(pid):
        os.kill(pid, signal.SIGKILL)


def _clear_pid_file() -> None:
    """A file left by a daemon that died would keep the next from starting; one of a living daemon is not ours."""
    try:
        pid = int(_PID_FILE.read_text())
    except (FileNotFoundError, ValueError):
        pid = 0
    if pid and _is_dockerd(pid):
        raise SetupError(f"dockerd runs as process {pid}, but does not answer the docker client; {_LIKELY_CAUSE}")
    _PID_FILE.unlink(missing_ok=True)


def _owner_file(owner: str) -> Path:
    return BUILD / "engine" / f"{owner}.pid"


def _is_dockerd(pid: int) -> bool:
    """A number alone may by now belong to another program; a dead child waits to be collected."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    except OSError:
        return False
