"""A cluster of one run: started in order, used through kubectl, and taken down to the last mount."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.cluster import control
from deploy.cluster.leftovers import end_shims, remove_networks, unmount_under
from deploy.cluster.network import CONTROL, add_address, close_network, open_network
from deploy.cluster.node import Node
from deploy.cluster.pki import Authority
from deploy.demo.children import Child, load_children, save_state, start_child, stop_child, wait_for
from deploy.demo.ports import free_ports
from deploy.setup.kubernetes import KUBERNETES
from deploy.setup.shell import SetupError, uninterrupted

_READY_SECONDS = 90.0
_EMPTY_SECONDS = 30.0


@dataclass
class Cluster:
    """One run, all of whose files are in ``directory``; its path must be short, since sockets are in it."""

    directory: Path
    say: Callable[[str], None] = lambda _: None
    nodes: dict[str, Node] = field(default_factory=dict)
    _children: list[Child] = field(default_factory=list)
    _ports: control.Ports = field(init=False)

    def __post_init__(self) -> None:
        self._ports = control.Ports(*free_ports(6))
        self.authority = Authority(self.directory / "pki")

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{CONTROL}:{self._ports.api}"

    def start(self, nodes: Sequence[str], images: Sequence[Path]) -> None:
        """Start the control plane and ``nodes``, each with the image archives ``images``; wait until all are ready."""
        self.start_api_server()
        for name, command in control.controllers(self.authority, self._ports):
            self._start(name, command)
        for number, name in enumerate(nodes, start=1):
            self.add_node(name, number, images)
        self._start("proxy", control.proxy(self.authority, self._ports, nodes[0]))
        self.wait_for(self._nodes_ready, _READY_SECONDS, f"the nodes {', '.join(nodes)} are ready")
        self.wait_for(self._accounts_ready, _READY_SECONDS, "pods have an account to run as")

    def start_api_server(self) -> None:
        """Start etcd and the API server alone: nothing is scheduled, no object makes another, no node is real."""
        self.stop()
        self.directory.mkdir(parents=True)
        open_network()
        self.authority.found()
        control.issue_identities(self.authority, self.server)
        self._start("etcd", control.storage(self.directory, self._ports))
        self._serve_api()

    @contextmanager
    def without_api_server(self) -> Iterator[None]:
        """Have no API server for as long as this lasts; after it the API server is ready again."""
        (server,) = [child for child in self._children if child.name == "apiserver"]
        stop_child(server)
        self._children.remove(server)
        yield
        self._serve_api()

    def simulate(self, stages: str, node: str = "") -> Child:
        """Start KWOK, which keeps one ``node``, or all, and the pods there as ``stages``, its configuration, say."""
        config = self.directory / "stages.yaml"
        config.write_text(stages)
        return self._start("kwok", control.simulator(self.authority, config, node))

    def add_node(self, name: str, number: int, images: Sequence[Path]) -> None:
        """Start a containerd with ``images`` and a kubelet."""
        node = Node(name, number, self.directory / name, *free_ports(1))
        add_address(node.address)
        node.prepare(self.authority, self.server)
        self.nodes[name] = node
        self._start(f"containerd-{name}", node.runtime_command())
        self.wait_for(node.socket.exists, _READY_SECONDS, f"containerd of {name} listens")
        for image in images:
            self.load_image(name, image)
        self._start(f"kubelet-{name}", node.kubelet_command(self.authority))

    def load_image(self, node: str, archive: Path) -> None:
        """Give a node the images of an archive that ``docker save`` wrote."""
        _run("ctr", "--address", self.nodes[node].socket, "--namespace", "k8s.io", "images", "import", archive)

    def tasks(self, node: str) -> dict[str, int]:
        """Return the first process of each container that runs on a node, by the container's id."""
        listed = _run("ctr", "--address", self.nodes[node].socket, "--namespace", "k8s.io", "tasks", "list")
        rows = (line.split() for line in listed.splitlines()[1:])
        return {container: int(pid) for container, pid, *_ in rows}

    def stop(self) -> None:
        """End everything this run, or an earlier one of the same directory, had started, and remove its files."""
        self._recall()
        with ExitStack() as last_first:
            last_first.callback(self._remove)
            for child in self._children:
                last_first.callback(stop_child, child)
            last_first.callback(self._empty)

    def kubectl(self, *arguments: object, stdin: str | None = None) -> str:
        """Run kubectl as administrator; return what it says, or raise SetupError with its complaint."""
        config = f"--kubeconfig={self.authority.path('admin.kubeconfig')}"
        return _run(KUBERNETES / "kubectl", config, *arguments, stdin=stdin)

    def get(self, *arguments: object) -> dict[str, Any]:
        """Return an object, or a list of them, as the API server has it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def apply(self, *documents: dict[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl(
            "apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        )

    def wait_for(self, predicate: Callable[[], object], timeout: float, what: str, pause: float = 0.3) -> None:
        """Look every ``pause`` seconds until ``predicate`` holds; raise SetupError that says ``what`` did not come."""
        wait_for(predicate, timeout, what, lambda: self.directory.glob("log/*.log"), pause)

    @property
    def audit(self) -> Path:
        """Requests of the accounts of cpp-system, a JSON document a line."""
        return self.directory / "audit.jsonl"

    @property
    def _state(self) -> Path:
        return self.directory / "state.json"

    def _start(self, name: str, command: Sequence[object]) -> Child:
        with uninterrupted():
            child = start_child(name, command, self.directory / f"log/{name}.log")
            self._children.append(child)
            save_state(self._state, self._children, {})
        self.say(f"{name} is started")
        return child

    def _recall(self) -> None:
        """Learn from the directory's files what was started there, unless it was started here."""
        if not self._children:
            self._children = load_children(self._state)
        for path in self.directory.glob("*/containerd.toml"):
            name = path.parent.name
            self.nodes.setdefault(name, Node(name, 0, path.parent, 0))

    def _serve_api(self) -> None:
        self._start("apiserver", control.api_server(self.authority, self._ports, self.audit))
        self.wait_for(self._api_ready, _READY_SECONDS, "the API server is ready")

    def _api_ready(self) -> bool:
        return self._answers("get", "--raw=/readyz")

    def _nodes_ready(self) -> bool:
        ready = "{.items[*].status.conditions[?(@.type=='Ready')].status}"
        return self.kubectl("get", "nodes", f"--output=jsonpath={ready}").split() == ["True"] * len(self.nodes)

    def _accounts_ready(self) -> bool:
        return self._answers("get", "serviceaccount", "default")

    def _answers(self, *arguments: object) -> bool:
        try:
            self.kubectl(*arguments)
        except SetupError:
            return False
        return True

    def _empty(self) -> None:
        """Let the kubelets end their pods, which also takes down the pods' networks; what hangs is ended later."""
        if not self.nodes or not self._api_ready():
            return
        everything = ["--all", "--all-namespaces", "--wait=false"]
        self._answers("delete", "deployments,replicasets,daemonsets,jobs", *everything)
        self._answers("delete", "pods", *everything, "--grace-period=0", "--force")
        deadline = time.monotonic() + _EMPTY_SECONDS
        while any(self.tasks(node) for node in self.nodes) and time.monotonic() < deadline:
            time.sleep(0.3)

    def _remove(self) -> None:
        end_shims(self.directory)
        unmount_under(self.directory)
        remove_networks(self.directory)
        close_network()
        for node in self.nodes.values():
            node.remove_cgroups()
        self._children.clear()
        self.nodes.clear()
        shutil.rmtree(self.directory, ignore_errors=True)


def _run(*command: object, stdin: str | None = None) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise SetupError(f"{Path(words[0]).name} {words[-1]}: {done.stderr.strip()}")
    return done.stdout
