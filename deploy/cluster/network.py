"""The cluster's addresses and packets: all nodes share this machine's network, and one kube-proxy serves them."""

import contextlib
import ctypes
import json
import os
import subprocess
from collections.abc import Iterator

from deploy.setup.shell import SetupError

PODS = "10.244.0.0/16"
CONTROL = "10.244.0.1"
"""Where the API server listens; pods reach it through the Service ``kubernetes``."""
_OURS = "10.244.0."
_DEVICE = "lo"
_CLONE_NEWNET = 0x40000000
_TABLES = ("filter", "nat", "mangle")
# Docker lets nothing be forwarded that it does not know of.
_FORWARDING = [["FORWARD", side, PODS, "--jump", "ACCEPT"] for side in ("--source", "--destination")]


def node_address(number: int) -> str:
    """Return the address of a node; pods and Services do not have it."""
    return f"{_OURS}{10 + number}"


def add_address(address: str) -> None:
    """Give this machine an address of the control plane or of a node."""
    _run("ip", "address", "replace", f"{address}/32", "dev", _DEVICE)


def enter_own_network() -> None:
    """Give this thread, and all that it starts from now on, a network with nothing but loopback.

    Clusters have the same addresses, ports and chains; in networks of their own several of them can run at once.
    Raises SetupError where the kernel does not allow it.
    """
    # Python's own os.unshare came with 3.12.
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise SetupError(f"no network of its own: {os.strerror(ctypes.get_errno())}")
    _run("ip", "link", "set", "dev", _DEVICE, "up")
    # What goes to a Service is routed before kube-proxy's rules give it another destination.
    _run("ip", "route", "add", "default", "dev", _DEVICE)


def open_network() -> None:
    """Give this machine the control plane's address, and let pods' packets pass."""
    add_address(CONTROL)
    for rule in _FORWARDING:
        _run("iptables", "--wait", "--insert", *rule)


def close_network() -> None:
    """Take back what ``open_network``, kubelets and kube-proxy have set; what is not there is no error."""
    for address in _own_addresses():
        _run("ip", "address", "delete", f"{address}/32", "dev", _DEVICE)
    for rule in _FORWARDING:
        with contextlib.suppress(SetupError):
            while True:
                _run("iptables", "--wait", "--delete", *rule)
    for table in _TABLES:
        script = removal(table, _run("iptables", "--wait", "--table", table, "--list-rules"))
        _run("iptables-restore", "--wait", "--noflush", stdin=script)


def removal(table: str, rules: str) -> str:
    """Return what iptables-restore must read to take Kubernetes' chains, and the ways to them, out of ``rules``."""
    lines = rules.splitlines()
    chains = [line.split()[1] for line in lines if line.startswith("-N KUBE-")]
    ways = [line for line in lines if line.startswith("-A ") and not line.startswith("-A KUBE-") and " KUBE-" in line]
    unhooked = [f"-D{line.removeprefix('-A')}" for line in ways]
    emptied = [f"-F {chain}" for chain in chains]
    return "\n".join([f"*{table}", *unhooked, *emptied, *(f"-X {chain}" for chain in chains), "COMMIT", ""])


def _own_addresses() -> Iterator[str]:
    (device,) = json.loads(_run("ip", "-json", "address", "show", "dev", _DEVICE))
    addresses = (str(entry["local"]) for entry in device["addr_info"])
    yield from (address for address in addresses if address.startswith(_OURS))


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
