import sys
from pathlib import Path

import pytest

from deploy.demo import stack as module
from deploy.demo.children import Child, is_running, load_children, save_state, start_child, stop_child
from deploy.demo.stack import Stack
from deploy.setup.shell import SetupError

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def engine_stops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In whose name Docker was stopped; the Docker of this machine is not touched."""
    stopped: list[str] = []
    monkeypatch.setattr(module, "stop_engine", stopped.append)
    monkeypatch.setattr(module, "engine_answers", lambda: True)
    return stopped


@pytest.fixture
def crashed(tmp_path: Path) -> tuple[Stack, list[Child]]:
    """A stack whose last run left two processes and its state."""
    children = [start_child(name, SLEEPER, tmp_path / f"{name}.log") for name in ("first", "second")]
    save_state(tmp_path / "state.json", children, {})
    return Stack(run="cpp-test-none", directory=tmp_path, node="here"), children


def fail(*_: object) -> None:
    raise SetupError("docker rm: it is in use")


def test_what_cannot_be_removed_keeps_neither_processes_nor_docker_running(
    crashed: tuple[Stack, list[Child]], engine_stops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, children = crashed
    monkeypatch.setattr(stack.containers, "remove_all", fail)
    with pytest.raises(SetupError, match="in use"):
        stack.stop()
    assert not [child for child in children if is_running(child)]
    assert engine_stops == ["cpp-test-none"]


def test_a_part_that_cannot_be_stopped_is_remembered_and_the_others_are_stopped(
    crashed: tuple[Stack, list[Child]], engine_stops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, (first, second) = crashed
    monkeypatch.setattr(stack.containers, "remove_all", lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(module, "stop_child", lambda child: fail() if child == second else stop_child(child))
        with pytest.raises(SetupError):
            stack.stop()
    assert (is_running(first), is_running(second)) == (False, True)
    assert second in load_children(stack.directory / "state.json")
    stack.stop()
    assert not is_running(second)
    assert load_children(stack.directory / "state.json") == []
