import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.children import is_running, load_children
from deploy.demo.containers import docker
from deploy.setup.stamps import BUILD, ROOT

NAME = f"cpp-test-demo-{os.getpid()}"
DIRECTORY = BUILD / NAME.removeprefix("cpp-")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy.demo", "--name", NAME, *arguments]


def left_behind() -> list[str]:
    label = f"label=cpp.run={NAME}"
    return docker("ps", "-aq", "--filter", label).split() + docker("images", "-q", "--filter", label).split()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A demo whose parts are all up, told so by its own lines."""
    told = tmp_path / "told"
    with told.open("wb") as output, subprocess.Popen(command("up"), cwd=ROOT, stdout=output, stderr=output) as process:
        deadline = time.monotonic() + 90
        while "learning" not in told.read_text():
            assert process.poll() is None, told.read_text()
            assert time.monotonic() < deadline, told.read_text()
            time.sleep(0.2)
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    subprocess.run(command("down"), cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing_behind(demo: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    children = load_children(DIRECTORY / "state.json")
    assert len(children) == 6
    assert left_behind()
    demo.send_signal(stop)
    assert demo.wait(timeout=60) == 130
    assert left_behind() == []
    assert not [child for child in children if is_running(child)]


def test_a_second_run_of_the_same_name_refuses_in_one_line_and_leaves_the_first_alone(
    demo: subprocess.Popen[bytes],
) -> None:
    before = load_children(DIRECTORY / "state.json"), left_behind()
    for wanted in ("up", "down"):
        second = subprocess.run(command(wanted), cwd=ROOT, check=False, capture_output=True, text=True)
        assert second.returncode == 1
        assert second.stdout == f"demo: {NAME} runs already, as process {demo.pid}; end it with Ctrl-C there first\n"
    assert (load_children(DIRECTORY / "state.json"), left_behind()) == before
    assert all(is_running(child) for child in before[0])


def test_demo_down_clears_what_a_killed_demo_left(demo: subprocess.Popen[bytes]) -> None:
    children = load_children(DIRECTORY / "state.json")
    demo.kill()
    demo.wait(timeout=10)
    assert left_behind()
    subprocess.run(command("down"), cwd=ROOT, check=True, capture_output=True)
    assert left_behind() == []
    assert not [child for child in children if is_running(child)]


def test_demo_down_with_nothing_to_remove_is_content() -> None:
    assert subprocess.run(command("down"), cwd=ROOT, check=False, capture_output=True).returncode == 0
