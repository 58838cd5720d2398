"""The whole system as child processes of one run: started in the order of the data, stopped in reverse."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from deploy.demo.children import (
    Child,
    load_children,
    save_state,
    start_child,
    stop_child,
    wait_for,
    wait_until_ready,
)
from deploy.demo.configs import Files, Pace, write_configs
from deploy.demo.containers import Containers
from deploy.demo.ports import choose_addresses
from deploy.setup.builds import CADVISOR, VENV
from deploy.setup.engine import engine_answers, start_engine, stop_engine
from deploy.setup.shell import uninterrupted

_READY_SECONDS = 60.0
_READY_PATHS = {"cadvisor": "/metrics"}


@dataclass
class Stack:
    """One run, known by its name: ``cpp-demo`` names its containers, its directory holds logs and files."""

    run: str
    directory: Path
    node: str
    pace: Pace = field(default_factory=Pace)
    usual_ports: bool = True
    say: Callable[[str], None] = lambda _: None
    addresses: dict[str, str] = field(default_factory=dict)
    files: Files = field(init=False)
    containers: Containers = field(init=False)
    _children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.files = Files(self.directory)
        self.containers = Containers(self.run)

    def prepare(self) -> None:
        """Remove what a crashed run left, make sure that Docker answers, and import the image."""
        self.stop_parts()
        for old in ("prometheus", "alertmanager", self.files.learned.name):
            shutil.rmtree(self.directory / old, ignore_errors=True)
        for pattern in ("ledger.sqlite*", "*.log"):
            for path in self.directory.glob(pattern):
                path.unlink()
        start_engine(self.run)
        self.containers.remove_all()
        self.containers.import_image()

    def start(self) -> None:
        """Start all parts and wait until each is ready; raise SetupError with the reason otherwise."""
        self.addresses = choose_addresses(self.usual_ports)
        write_configs(self.run, self.directory, self.addresses, self.node, self.pace)
        for part, command in self._commands().items():
            self._start_part(part, command)

    def stop(self) -> None:
        """Stop all parts, remove all containers and the image, and Docker if it was started here.

        Each of the three is done even if another fails; SetupError then says what remains.
        """
        with ExitStack() as last_first:
            last_first.callback(stop_engine, self.run)
            last_first.callback(self._remove_containers)
            last_first.callback(self.stop_parts)

    def stop_parts(self) -> None:
        """Stop what this run, or an earlier one of the same directory, had started."""
        with ExitStack() as last_first:
            for child in self._children or load_children(self._state):
                last_first.callback(stop_child, child)
        self._children.clear()
        self._state.unlink(missing_ok=True)

    def url(self, part: str) -> str:
        """Return the address of a part, for example ``http://127.0.0.1:9090``."""
        return f"http://{self.addresses[part]}"

    def log(self, part: str) -> Path:
        """Return the log of a part."""
        return self.directory / f"{part}.log"

    def wait_for(self, predicate: Callable[[], object], timeout: float, what: str) -> None:
        """Wait until ``predicate`` holds; raise SetupError that says ``what`` did not happen."""
        wait_for(predicate, timeout, what, lambda: map(self.log, self.addresses))

    @property
    def _state(self) -> Path:
        return self.directory / "state.json"

    def _remove_containers(self) -> None:
        if engine_answers():
            self.containers.remove_all()

    def _start_part(self, part: str, command: list[object]) -> None:
        with uninterrupted():
            child = start_child(part, command, self.log(part))
            self._children.append(child)
            save_state(self._state, self._children, self.addresses)
        url = self.url(part) + _READY_PATHS.get(part, "/-/ready")
        wait_until_ready(child, url, self.log(part), _READY_SECONDS)
        self.say(f"{part} runs at {self.url(part)}")

    def _commands(self) -> dict[str, list[object]]:
        listen = {part: f"--web.listen-address={address}" for part, address in self.addresses.items()}
        return {
            "cadvisor": cadvisor_command(self.addresses["cadvisor"]),
            "probe": [VENV / "bin/cpp-probe", listen["probe"]],
            "exporter": [VENV / "bin/cpp-exporter", "run", f"--config.file={self.files.exporter}", listen["exporter"]],
            "actuator": [VENV / "bin/cpp-actuator", "run", f"--config.file={self.files.actuator}", listen["actuator"]],
            "alertmanager": [
                shutil.which("alertmanager") or "prometheus-alertmanager",
                f"--config.file={self.files.alertmanager}",
                f"--storage.path={self.directory / 'alertmanager'}",
                "--cluster.listen-address=",
                listen["alertmanager"],
            ],
            "prometheus": [
                "prometheus",
                f"--config.file={self.files.prometheus}",
                f"--storage.tsdb.path={self.directory / 'prometheus'}",
                # An alert that fires before Alertmanager has been found would else be sent again after a minute only.
                "--rules.alert.resend-delay=5s",
                listen["prometheus"],
            ],
        }


def cadvisor_command(address: str) -> list[object]:
    """Return how cAdvisor is run: the program on the PATH is the well-known one; ours has one flag for the address."""
    found = shutil.which("cadvisor")
    if found is None:
        return [CADVISOR, f"--listen={address}", "--docker-only"]
    host, port = address.split(":")
    return [
        found,
        f"--listen_ip={host}",
        f"--port={port}",
        "--housekeeping_interval=1s",
        "--allow_dynamic_housekeeping=false",
    ]
