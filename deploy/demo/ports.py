"""Addresses of the parts: the usual port where it is free, else any free one."""

import socket
from collections.abc import Mapping

USUAL_PORTS: Mapping[str, int] = {
    "cadvisor": 8080,
    "probe": 17901,
    "exporter": 17900,
    "actuator": 17902,
    "prometheus": 9090,
    "alertmanager": 9093,
}


def choose_addresses(usual: bool) -> dict[str, str]:
    """Return ``127.0.0.1:port`` of each part; ``usual`` prefers the documented ports."""
    addresses: dict[str, str] = {}
    for part, port in USUAL_PORTS.items():
        free = _free_port(port if usual else 0, taken=set(addresses.values()))
        addresses[part] = f"127.0.0.1:{free}"
    return addresses


def free_ports(number: int) -> list[int]:
    """Return so many different free ports of 127.0.0.1."""
    held: list[int] = []
    while len(held) < number:
        port = _free_port(0, taken={f"127.0.0.1:{other}" for other in held})
        held.append(port)
    return held


def _free_port(wanted: int, taken: set[str]) -> int:
    for port in (wanted, *([0] * 20)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
        if f"127.0.0.1:{found}" not in taken:
            return found
    raise OSError("no free port on 127.0.0.1")
