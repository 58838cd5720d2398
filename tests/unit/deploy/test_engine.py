import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.setup import engine
from deploy.setup.shell import SetupError


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of its own: programs, pid file and notes are below the returned directory."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(engine, "_PID_FILE", tmp_path / "docker.pid")
    monkeypatch.setattr(engine, "BUILD", tmp_path / "build")
    return tmp_path


def program(path: Path, interpreter: str, text: str) -> Path:
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(0o755)
    return path


def daemon(machine: Path) -> Path:
    """Runs under the name dockerd, and is up as soon as its note is there."""
    text = f"import time; open({str(machine / 'up')!r}, 'w').close(); time.sleep(60)"
    return program(machine / "dockerd", sys.executable, text)


@pytest.fixture
def running_daemon(machine: Path) -> Iterator[int]:
    with subprocess.Popen([daemon(machine)]) as process:
        while not (machine / "up").exists():
            assert process.poll() is None
        yield process.pid
        process.kill()


def test_a_daemon_that_the_client_does_not_reach_is_left_alone_with_the_likely_cause(
    machine: Path, running_daemon: int
) -> None:
    program(machine / "docker", "/bin/sh", "exit 1")
    (machine / "docker.pid").write_text(str(running_daemon))
    with pytest.raises(SetupError, match=rf"process {running_daemon}.*DOCKER_HOST.*context"):
        engine.start_engine("test")
    assert (machine / "docker.pid").read_text() == str(running_daemon)
    assert not (machine / "build").exists()


@pytest.mark.parametrize("left", ["", "no number", str(os.getpid())], ids=["empty", "no number", "own"])
def test_a_pid_file_that_names_no_daemon_does_not_keep_one_from_starting(machine: Path, left: str) -> None:
    daemon(machine)
    program(machine / "docker", "/bin/sh", f"test -e {machine / 'up'}")
    (machine / "docker.pid").write_text(left)
    assert engine.start_engine("test")
    assert not (machine / "docker.pid").exists()
    pid = int((machine / "build/engine/test.pid").read_text())
    engine.stop_engine("test")
    assert not Path(f"/proc/{pid}").exists()


def test_a_client_that_gives_no_answer_is_reported(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_ANSWER_SECONDS", 0.2)
    program(machine / "docker", "/bin/sh", "exec sleep 60")
    with pytest.raises(SetupError, match="no answer"):
        engine.engine_answers()


def test_a_daemon_that_answers_is_used_and_belongs_to_no_one_here(machine: Path) -> None:
    program(machine / "docker", "/bin/sh", "exit 0")
    assert not engine.start_engine("test")
    assert not (machine / "build").exists()
