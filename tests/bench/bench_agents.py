"""What the exporter costs beside cAdvisor, on the same real containers, both at their default cadence.

Both are scraped every 15 s, as Prometheus would. The first seconds of each, when programs load, are left out.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))  # the harness that starts the parts is no installed package

from deploy.demo.children import Child, start_child, stop_child, wait_until_ready
from deploy.demo.containers import Containers
from deploy.demo.ports import choose_addresses
from deploy.setup.builds import CADVISOR, VENV, build_programs

_CONTAINERS = 50
_SECONDS = 60.0
_SCRAPE = 15.0
_WORK = (
    ("sleep",),
    ("cpu", "--duty=0.005", "--period=1s"),
    ("syscalls", "--rate=50"),
    ("opens", "--rate=5", "--file=/workload"),
    ("threads", "--n=10"),
)
_LARGEST_SHARE = 1 / 3


def main() -> None:
    """Print the CPU of each program and their ratio."""
    build_programs()
    addresses = choose_addresses(usual=False)
    with tempfile.TemporaryDirectory() as folder, _containers(), ExitStack() as stack:
        children = stack.enter_context(_programs(Path(folder), addresses))
        _scrape_for(2 * _SCRAPE, addresses)
        before = {name: _cpu_seconds(child) for name, child in children.items()}
        started = time.monotonic()
        _scrape_for(_SECONDS, addresses)
        lasted = time.monotonic() - started
        used = {name: _cpu_seconds(child) - before[name] for name, child in children.items()}
    cadvisor = used["cadvisor"] / lasted
    for name in ("exporter", "probe"):
        line = {"bench": "agents", "metric": f"{name}_cpu_cores_at_50_containers", "value": used[name] / lasted}
        line |= {"peer": "cadvisor", "peer_value": cadvisor, "ratio": used[name] / lasted / cadvisor}
        print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in line.items()}))
    if used["exporter"] / used["cadvisor"] > _LARGEST_SHARE:
        sys.exit("the exporter uses more than a third of cAdvisor's CPU")


@contextmanager
def _containers() -> Iterator[None]:
    containers = Containers(f"cpp-bench-{os.getpid()}")
    try:
        containers.import_image()
        for index in range(_CONTAINERS):
            containers.start(str(index), _WORK[index % len(_WORK)])
        yield
    finally:
        containers.remove_all()


@contextmanager
def _programs(folder: Path, addresses: dict[str, str]) -> Iterator[dict[str, Child]]:
    config = folder / "exporter.yml"
    sources = {name: {"url": f"http://{addresses[name]}/metrics"} for name in ("cadvisor", "probe")}
    config.write_text(yaml.safe_dump({"node": "bench", "sources": sources}))
    commands: dict[str, list[object]] = {
        "cadvisor": [CADVISOR, f"--listen={addresses['cadvisor']}", "--docker-only"],
        "probe": [VENV / "bin/cpp-probe", f"--web.listen-address={addresses['probe']}"],
        "exporter": [
            VENV / "bin/cpp-exporter",
            "run",
            f"--config.file={config}",
            f"--web.listen-address={addresses['exporter']}",
        ],
    }
    children: dict[str, Child] = {}
    try:
        for name, command in commands.items():
            log = folder / f"{name}.log"
            children[name] = start_child(name, command, log)
            wait_until_ready(children[name], f"http://{addresses[name]}/metrics", log, 60)
        yield children
    finally:
        for child in children.values():
            stop_child(child)


def _scrape_for(seconds: float, addresses: dict[str, str]) -> None:
    """Read what Prometheus would read, until ``seconds`` have passed."""
    for _ in range(round(seconds / _SCRAPE)):
        for name in ("exporter", "probe"):
            requests.get(f"http://{addresses[name]}/metrics", timeout=10).raise_for_status()
        time.sleep(_SCRAPE)


def _cpu_seconds(child: Child) -> float:
    """Return the CPU seconds of a program and of the children that it still has."""
    return sum(_ticks(pid) for pid in (child.pid, *_children(child.pid))) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])  # utime, stime, and those of children that ended


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
