"""What the API server says of pods and nodes: the few fields used, validated."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from kubernetes.utils.quantity import parse_quantity
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from actuator.platforms.kubernetes.scheduling import Affinity, Taint, Toleration, Volume

_parse: Callable[[str], Decimal] = parse_quantity


def _amount(value: object) -> object:
    """Cores or bytes of a quantity such as ``250m`` or ``64Mi``."""
    return float(_parse(value)) if isinstance(value, str) else value


Quantity = Annotated[float, BeforeValidator(_amount)]


class Document(BaseModel):
    """The fields used of an object; others are left alone."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Owner(Document):
    """Who made an object."""

    kind: str
    name: str
    uid: str = ""
    controller: bool = False


class Metadata(Document):
    """Identity of an object and what people wrote on it."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    """Counts changes of the specification."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None

    @property
    def controller(self) -> Owner | None:
        """What made the object and keeps it."""
        return next((owner for owner in self.owner_references if owner.controller), None)

    @property
    def made_at(self) -> float:
        """Epoch seconds at which the object was created; 0 where that is not said."""
        return self.creation_timestamp.timestamp() if self.creation_timestamp else 0.0


class Resources(Document):
    """Requests and limits by resource; what is unset is missing."""

    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class ResizePolicy(Document):
    """Whether a container is restarted when this resource is resized."""

    resource_name: str
    restart_policy: str = "NotRequired"


class Container(Document):
    """One container of a pod's specification."""

    name: str
    image: str = ""
    resources: Resources = Resources()
    resize_policy: tuple[ResizePolicy, ...] = ()
    restart_policy: str = ""
    """Of an init container: ``Always`` where it runs beside the others."""

    def restarts_for(self, resource: str) -> bool:
        """Return whether a change of ``resource`` would restart it."""
        return any(p.resource_name == resource and p.restart_policy == "RestartContainer" for p in self.resize_policy)


class Running(Document):
    """Since when a container runs."""

    started_at: datetime | None = None


class ContainerState(Document):
    """The state a container is in; only ``running`` matters here."""

    running: Running | None = None


class ContainerStatus(Document):
    """What the kubelet says of one container."""

    name: str
    container_id: str = Field(default="", alias="containerID")
    resources: Resources = Resources()
    """In force, as the runtime says."""
    restart_count: int = 0
    state: ContainerState = ContainerState()

    @property
    def bare_id(self) -> str:
        """The id without the runtime's name before it."""
        return self.container_id.rpartition("/")[2]


class Condition(Document):
    """One condition of a pod."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    """Of the specification that it is about; 0 where that is not said."""
    last_transition_time: datetime | None = None


class PodSpec(Document):
    """What a pod was asked to be."""

    node_name: str = ""
    priority: int | None = None
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    overhead: dict[str, Quantity] = {}
    node_selector: dict[str, str] = {}
    affinity: Affinity = Affinity()
    tolerations: tuple[Toleration, ...] = ()
    volumes: tuple[Volume, ...] = ()


class PodStatus(Document):
    """What a pod is."""

    phase: str = ""
    start_time: datetime | None = None
    qos_class: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Document):
    """``GET /api/v1/namespaces/{namespace}/pods/{name}``."""

    metadata: Metadata
    spec: PodSpec
    status: PodStatus = PodStatus()

    def container(self, name: str) -> Container | None:
        """Return what was asked of a container."""
        return next((each for each in self.spec.containers if each.name == name), None)

    def container_status(self, name: str) -> ContainerStatus | None:
        """Return what became of a container."""
        return next((each for each in self.status.container_statuses if each.name == name), None)

    def condition(self, kind: str) -> Condition | None:
        """Return a condition that is true."""
        return next((each for each in self.status.conditions if each.type == kind and each.status == "True"), None)

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return self.metadata.deletion_timestamp is None and self.condition("Ready") is not None

    def request(self, resource: str) -> float:
        """Return what the scheduler sets aside for it."""
        spec = self.spec
        beside = [each for each in spec.init_containers if each.restart_policy == "Always"]
        before = [each for each in spec.init_containers if each.restart_policy != "Always"]
        together = sum(each.resources.requests.get(resource, 0.0) for each in (*spec.containers, *beside))
        alone = max((each.resources.requests.get(resource, 0.0) for each in before), default=0.0)
        return max(together, alone) + spec.overhead.get(resource, 0.0)


class NodeSpec(Document):
    """What is asked of a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeStatus(Document):
    """What a node has."""

    allocatable: dict[str, Quantity] = {}
    """Empty before a new node's kubelet has spoken."""
    conditions: tuple[Condition, ...] = ()

    @property
    def has_room(self) -> bool:
        """Whether there is CPU and memory for pods, as far as is known."""
        return all(self.allocatable.get(resource, 0.0) > 0 for resource in ("cpu", "memory"))


class Node(Document):
    """``GET /api/v1/nodes/{name}``."""

    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus


class Page(Document):
    """Where a list goes on; empty where it is at its end."""

    rest: str = Field(default="", alias="continue")


class Pods(Document):
    """A part of a list of pods."""

    metadata: Page = Page()
    items: tuple[Pod, ...] = ()


class Nodes(Document):
    """All nodes."""

    items: tuple[Node, ...] = ()


class Named(Document):
    """Any object of which only the metadata matter."""

    metadata: Metadata
