"""Live interference on this machine: real containers, cAdvisor and the probe, and all that both said, kept on disk.

The readings are kept as they came, so that a trial is made once and can be judged again after a change.
"""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import requests
import yaml
from interference_trials import Trial, described

sys.path.insert(0, str(Path(__file__).parents[2]))  # the harness that starts the parts is no installed package

from program_image import make_program_image

from deploy.demo.children import start_child, stop_child, wait_until_ready
from deploy.demo.containers import docker, inspect
from deploy.demo.ports import choose_addresses
from deploy.demo.stack import cadvisor_command
from deploy.setup.builds import VENV, WORKLOAD, build_programs

INTERVAL = 2.0
"""Seconds between two readings, which is the exporter's cycle."""
RUN = "cpp-interference"
_IMAGE, _LABEL = f"{RUN}/neighbours", f"cpp.run={RUN}"
_PORT, _SINK = 8000, 17990
_REST, _SETTLE = 3.0, 2.0
_MEMORY = "--memory=3g"


@dataclass(frozen=True)
class Places:
    """Where the parts are read."""

    cadvisor: str
    probe: str

    def read(self, pool: ThreadPoolExecutor) -> dict[str, object]:
        """Return what both serve now, and when."""
        texts = list(pool.map(_text, (self.cadvisor, self.probe)))
        return {"at": time.time(), "cadvisor": texts[0], "probe": texts[1]}


def make_image() -> None:
    """Make the image of all containers of a trial."""
    make_program_image(_IMAGE, _LABEL, "stress-ng")


@contextmanager
def parts(folder: Path) -> Iterator[Places]:
    """Run cAdvisor, the probe and the exporter itself, whose cost is part of what containers feel."""
    build_programs()
    addresses = choose_addresses(usual=False)
    config = folder / "exporter.yml"
    urls = {part: f"http://{addresses[part]}/metrics" for part in ("cadvisor", "probe")}
    sources = {part: {"url": url} for part, url in urls.items()}
    config.write_text(yaml.safe_dump({"interval": f"{INTERVAL:g}s", "sources": sources}))
    swallow = f"--listen={_gateway()}:{_SINK}"
    commands: dict[str, list[object]] = {
        "sink": [WORKLOAD, "net-server", swallow],
        "cadvisor": cadvisor_command(addresses["cadvisor"]),
        "probe": [VENV / "bin/cpp-probe", f"--web.listen-address={addresses['probe']}"],
        "exporter": [
            VENV / "bin/cpp-exporter",
            "run",
            f"--config.file={config}",
            f"--web.listen-address={addresses['exporter']}",
        ],
    }
    with ExitStack() as running:
        for part, command in commands.items():
            log = folder / f"{part}.log"
            child = start_child(part, command, log)
            running.callback(stop_child, child)
            if part != "sink":
                ready = urls[part] if part == "cadvisor" else f"http://{addresses[part]}/-/ready"
                wait_until_ready(child, ready, log, 60.0)
        yield Places(**urls)


def make(trial: Trial, places: Places, target: Path) -> None:
    """Make one trial and keep what was read; nothing is kept of one that is cut short."""
    remove_containers()
    draft = target.with_suffix(".part")
    try:
        with _asking(trial, target) as names, gzip.open(draft, "wt") as file:
            began = _disturb(trial, names, places, file)
        head = described(trial) | {"names": names, "began": began, "latency": _latency(target)}
        target.with_suffix(".json").write_text(json.dumps(head))
        draft.replace(target)
    finally:
        remove_containers()
        target.with_suffix(".ask").unlink(missing_ok=True)
        time.sleep(_REST)


def remove_containers() -> None:
    """Remove every container of these trials, also those of a run that crashed."""
    if found := docker("ps", "--all", "--quiet", "--filter", f"label={_LABEL}").split():
        docker("rm", "--force", "--volumes", *found)


@contextmanager
def _asking(trial: Trial, target: Path) -> Iterator[dict[str, str]]:
    """Run the victim and its bystanders, and ask the victim all the time; yield each one's name by its part."""
    names = {part: f"{RUN}-{trial.order[n]}" for n, part in enumerate(("victim", "b1", "b2", "b3", "culprit"))}
    _start(names["victim"], ("/workload", "answer", "--file", "/data/log"))
    victim = _address(names["victim"])
    first, *others = trial.bystanders
    _start(names["b1"], ("/workload", *_placed(first, victim)))
    for name, command in zip((names["b2"], names["b3"]), others, strict=True):
        _start(name, ("/workload", *_placed(command, victim)))
    if trial.culprit and not trial.appears:
        pause = f"{trial.calm + _SETTLE:.1f}s"
        _start(names["culprit"], ("/workload", "then", "--pause", pause, "--command", _place(trial.culprit, victim)))
    with target.with_suffix(".ask").open("w") as file:
        asker = subprocess.Popen([WORKLOAD, "ask", f"--to={victim}:{_PORT}"], stdout=file)
        try:
            yield names
        finally:
            asker.terminate()
            asker.wait()


def _disturb(trial: Trial, names: dict[str, str], places: Places, file: IO[str]) -> float:
    """Read until the trial is over; return when the culprit began, epoch seconds."""
    began = time.time() + _SETTLE + trial.calm
    late, started = bool(trial.culprit) and trial.appears, None
    with ThreadPoolExecutor(3) as pool:
        while (now := time.time()) < began + trial.disturbed:
            time.sleep(INTERVAL - now % INTERVAL)
            file.write(json.dumps(places.read(pool)) + "\n")
            if late and time.time() > began - INTERVAL:
                time.sleep(max(began - time.time(), 0))
                began, late = time.time(), False
                started = pool.submit(_start_culprit, trial, names)
        if started is not None:
            started.result()
    return began


def _start_culprit(trial: Trial, names: dict[str, str]) -> None:
    words = _place(trial.culprit, _address(names["victim"])).split()
    _start(names["culprit"], words)


def _start(name: str, words: tuple[str, ...] | list[str]) -> None:
    docker("run", "--detach", "--name", name, "--label", _LABEL, "--volume", "/data", _MEMORY, _IMAGE, *words)


def _placed(words: tuple[str, ...], victim: str) -> tuple[str, ...]:
    return tuple(_place(word, victim) for word in words)


def _place(text: str, victim: str) -> str:
    return text.format(gateway=_gateway(), victim=victim, sink=_SINK)


def _gateway() -> str:
    return docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()


def _address(name: str) -> str:
    return str(inspect(name)["NetworkSettings"]["IPAddress"])


def _latency(target: Path) -> list[list[float]]:
    lines = target.with_suffix(".ask").read_text().splitlines()
    return [[float(word) for word in line.split()] for line in lines if len(line.split()) == 2]


def _text(url: str) -> str:
    answer = requests.get(url, timeout=5)
    answer.raise_for_status()
    return answer.text
