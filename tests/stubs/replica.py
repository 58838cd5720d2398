"""An actuator in a process of its own that can be killed; only Prometheus is stood in for.

Processes are forked from one that has loaded the libraries already, so that a test can afford many of them.
"""

import contextlib
import io
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests
import yaml

from actuator import __main__ as command
from actuator import logs, service
from actuator.config import load_config
from actuator.model.knowledge import Observation
from actuator.model.orders import Order
from actuator.observe import Sample
from actuator.outlook import Scout
from actuator.outside import open_outside
from actuator.webconfig import load_web_config

TOKEN = "a secret of this test"
Seen = Mapping[str, Mapping[str, Any]]
"""What Prometheus says, by intent."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["replica", "actuator.cluster"])


_WEB = {"node": "n1", "namespace": "shop", "pod": "web-1", "container": "main", "resource": "cpu"}
SUFFERS: Sequence[Sample] = (
    ({**_WEB, "__name__": "cpp_interference_suffered_ratio"}, 0.5),
    ({**_WEB, "__name__": "cpp_cpu_forecast_cores", "level": "0.9"}, 0.5),
)
"""What Prometheus says of pods: one that is often used suffers."""


@dataclass(frozen=True)
class Cluster:
    """What Prometheus says of a whole cluster."""

    busy: Mapping[str, float] = field(default_factory=dict)
    """How many cores are forecast to be in use on each node."""
    pods: Sequence[Sample] = SUFFERS
    deadly: frozenset[str] = frozenset()
    """Intents at whose orders the thread that works ends, as a library's SystemExit would make it."""


class _Says:
    def __init__(self, seen: Seen, cluster: Cluster) -> None:
        self._seen, self._cluster = seen, cluster

    def observe(self, order: Order, at: float) -> Observation:
        if order.intent in self._cluster.deadly:
            raise SystemExit("a library ends the thread")
        return Observation(
            at=at, **{"firing": True, "sample_age": 1.0, "forecast_due_at": at, **self._seen[order.intent]}
        )

    def query(self, expression: str, at: float) -> list[Sample]:
        """Say how much of each node is forecast to be used, or what is known of pods."""
        if "cpp_node_" not in expression:
            return list(self._cluster.pods)
        return [sample for name, cores in self._cluster.busy.items() for sample in _samples(name, cores, at)]


def _samples(name: str, cores: float, at: float) -> list[Sample]:
    forecasts = {"cpp_node_cpu_forecast_cores": cores, "cpp_node_memory_forecast_bytes": 2.0**30}
    taken = {"__name__": "cpp_last_sample_timestamp_seconds", "source": "cadvisor", "node": name}
    return [
        *(({"__name__": metric, "node": name, "level": "0.9"}, use) for metric, use in forecasts.items()),
        (taken, at),
    ]


def configure(directory: Path, kubeconfig: Path, **sections: Any) -> Path:
    """Write a configuration whose ledger is in ``directory``; return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "token").write_text(TOKEN)
    document = {
        "cluster": "lab",
        "dry_run": False,
        "webhook": {"token_file": str(directory / "token")},
        "ledger": {"path": str(directory / "ledger.sqlite")},
        "platform": {"kind": "kubernetes", "kubeconfig": str(kubeconfig), "timeout": "5s"},
        "prometheus": {"url": "http://127.0.0.1:9", "scrape_interval": "1s", "timeout": "1s"},
        **sections,
    }
    (directory / "actuator.yml").write_text(yaml.safe_dump(document))
    return directory / "actuator.yml"


class Replica:
    """A running ``cpp-actuator run``."""

    def __init__(self, config: Path, seen: Seen, pod: str = "", cluster: Cluster | None = None) -> None:
        """``pod`` is the one that stands for it."""
        # Bound here: between a look for a free port and its use somebody else's connection may have taken it.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
            arguments = (str(config), listener, dict(seen), cluster or Cluster(), pod)
            self._process = _FORKS.Process(target=_run, args=arguments, daemon=True)
            self._process.start()

    def post(self, *alerts: Mapping[str, Any]) -> int:
        """Deliver alerts as Alertmanager would; return the status, or 0 where nobody answers."""
        whole = {"status": "firing", "annotations": {}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f"}
        body = {"version": "4", "status": "firing", "alerts": [{**whole, **alert} for alert in alerts]}
        try:
            return self.ask("POST", "/alerts", json=body, headers={"Authorization": f"Bearer {TOKEN}"}).status_code
        except requests.RequestException:
            return 0

    def ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request."""
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=10, **arguments)

    def alive(self) -> bool:
        """Tell whether the process lives."""
        return self._process.is_alive()

    @property
    def status(self) -> int | None:
        """With what it has ended; None while it lives."""
        return self._process.exitcode

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        """End it in order."""
        self._process.terminate()
        self._process.join(30)


class Restore(Replica):
    """A running ``cpp-actuator restore --all``."""

    def __init__(self, config: Path) -> None:
        self._process = _FORKS.Process(target=_restore, args=(str(config),), daemon=True)
        self._process.start()


def _run(config_file: str, listener: socket.socket, seen: Seen, cluster: Cluster, pod: str) -> None:
    os.environ["POD_NAME"] = pod
    path = Path(config_file)
    with path.with_suffix(".log").open("a") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
        logs.set_up("info", "logfmt")
        config = load_config(path)
        says, outside = _Says(seen, cluster), open_outside(config)
        assert outside.moving is not None
        moving = replace(outside.moving, scout=Scout(says.query, 15.0))
        outside = replace(outside, observer=says, moving=moving)
        service.run(config, outside, listener, (None, load_web_config(None)), time.time)


def _restore(config_file: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = command.main(["restore", f"--config.file={config_file}", "--all"])
    if status:
        sys.stderr.write(said.getvalue())
    sys.exit(status)
