import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo.containers import docker
from deploy.demo.stack import Stack
from deploy.setup.shell import SetupError
from deploy.setup.stamps import BUILD


@dataclass
class RunningStack:
    """The whole system, running; see ``deploy.demo.stack`` for how it comes about."""

    parts: Stack

    @property
    def prometheus_url(self) -> str:
        return self.parts.url("prometheus")

    @property
    def alertmanager_url(self) -> str:
        return self.parts.url("alertmanager")

    @property
    def exporter_url(self) -> str:
        return self.parts.url("exporter")

    @property
    def actuator_url(self) -> str:
        return self.parts.url("actuator")

    @property
    def cadvisor_url(self) -> str:
        return self.parts.url("cadvisor")

    @property
    def probe_url(self) -> str:
        return self.parts.url("probe")

    @property
    def token(self) -> str:
        return self.parts.files.token.read_text().strip()

    def wait_for(self, predicate: Callable[[], object], timeout: float, what: str) -> None:
        try:
            self.parts.wait_for(predicate, timeout, what)
        except SetupError as error:
            pytest.fail(str(error), pytrace=False)

    def run_container(self, name: str, *arguments: str, options: Sequence[str] = ()) -> str:
        """Run the workload program and return the container's id; its name is ``full_name(name)``."""
        return self.parts.containers.start(name, arguments, options)

    def full_name(self, name: str) -> str:
        return f"{self.parts.run}-{name}"

    def remove_container(self, name: str) -> None:
        docker("rm", "--force", "--volumes", self.full_name(name))


@pytest.fixture(scope="session")
def _session_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    # Two test runs on one machine do not meet: the name of the run and its ports are its own.
    run = f"cpp-test-{os.getpid()}"
    parts = Stack(run=run, directory=tmp_path_factory.mktemp("stack"), node="test-node", usual_ports=False)
    try:
        parts.prepare()
        parts.start()
        yield RunningStack(parts)
    except SetupError as error:
        pytest.fail(f"the stack cannot start: {error}", pytrace=False)
    finally:
        _keep_logs(parts.directory)
        parts.stop()


@pytest.fixture
def stack(_session_stack: RunningStack) -> Iterator[RunningStack]:
    """The session's stack; containers that a test ran are removed after it."""
    before = _running(_session_stack)
    yield _session_stack
    for container in _running(_session_stack) - before:
        docker("rm", "--force", "--volumes", container)


def _running(stack: RunningStack) -> set[str]:
    return set(docker("ps", "--all", "--quiet", "--filter", f"label=cpp.run={stack.parts.run}").split())


def _keep_logs(directory: Path) -> None:
    target = BUILD / "test-stack"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for log in directory.glob("*.log"):
        shutil.copy(log, target)
