import re
from typing import Any

import requests

from deploy.demo.containers import docker

ALARM = 0.2
_CORE = ("--cpuset-cpus=1", "--memory=64m")


def _caused(stack: Any) -> dict[tuple[str, str, str], float]:
    text = requests.get(f"{stack.exporter_url}/metrics", timeout=5).text
    lines = re.findall(r"^cpp_interference_caused_ratio\{(.*)\} (\S+)$", text, re.MULTILINE)
    found = {}
    for labels, value in lines:
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found[label["container"], label["resource"], label["victim"]] = float(value)
    return found


def test_a_flood_of_packets_is_named_for_what_it_is_with_its_victim_and_nobody_else_is(stack: Any) -> None:
    stack.run_container("calm", "cpu", "--duty=0.3", "--period=50ms", options=_CORE)
    stack.run_container("aside", "syscalls", "--rate=1000", options=_CORE)
    calm, aside, flood = (stack.full_name(name) for name in ("calm", "aside", "flood"))
    known = f'container="{calm}"'
    stack.wait_for(
        lambda: known in requests.get(f"{stack.exporter_url}/metrics", timeout=5).text, 30, "the victim is seen"
    )
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
    stack.run_container("flood", "flood", f"--to={gateway}:9", "--threads=4", options=_CORE)
    stack.wait_for(
        lambda: _caused(stack).get((flood, "network_io", calm), 0) > ALARM, 40, "the flood is blamed for the victim"
    )
    blamed = {culprit: score for (culprit, _, _), score in _caused(stack).items() if culprit in (calm, aside)}
    assert max(blamed.values(), default=0) < ALARM
