"""What decides where a pod may run, as the API server writes it: selectors, affinities, taints, volumes."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Requirement(_Document):
    """One expression over labels."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet it; an operator nobody knows is not met."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return self._compares(value)
        return False

    def _compares(self, value: str | None) -> bool:
        try:
            number, bound = int(value or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return number > bound if self.operator == "Gt" else number < bound


class NodeTerm(_Document):
    """Expressions that a node must meet all of; a term without any matches nothing."""

    match_expressions: tuple[Requirement, ...] = ()
    match_fields: tuple[Requirement, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether the node of this name and these labels meets it."""
        fields = {"metadata.name": name}
        holds = [*(e.holds(labels) for e in self.match_expressions), *(e.holds(fields) for e in self.match_fields)]
        return bool(holds) and all(holds)


class NodeChoice(_Document):
    """Terms of which a node must meet one."""

    node_selector_terms: tuple[NodeTerm, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether the node meets any term."""
        return any(term.matches(name, labels) for term in self.node_selector_terms)


class NodeAffinity(_Document):
    """Nodes that a pod requires; what it merely prefers is the scheduler's affair."""

    required: NodeChoice | None = Field(default=None, alias="requiredDuringSchedulingIgnoredDuringExecution")


class Labels(_Document):
    """A selector over labels."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet all of it."""
        same = all(labels.get(key) == value for key, value in self.match_labels.items())
        return same and all(each.holds(labels) for each in self.match_expressions)


class PodTerm(_Document):
    """Other pods, and how near they are meant to be."""

    label_selector: Labels | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: Labels | None = None
    topology_key: str

    def means(self, namespace: str, labels: Mapping[str, str], own_namespace: str) -> bool:
        """Return whether a pod is meant. A selector of namespaces counts as all of them: rather too careful."""
        near = self.namespace_selector is not None or namespace in (self.namespaces or (own_namespace,))
        return near and self.label_selector is not None and self.label_selector.matches(labels)


class PodAffinity(_Document):
    """Pods that a pod requires to be near, or far."""

    required: tuple[PodTerm, ...] = Field(default=(), alias="requiredDuringSchedulingIgnoredDuringExecution")


class Affinity(_Document):
    """All that a pod asks of its place."""

    node_affinity: NodeAffinity = NodeAffinity()
    pod_affinity: PodAffinity = PodAffinity()
    pod_anti_affinity: PodAffinity = PodAffinity()


class Taint(_Document):
    """What keeps pods away from a node."""

    key: str
    value: str = ""
    effect: str


class Toleration(_Document):
    """A taint that a pod puts up with; an empty key or effect means any."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def covers(self, taint: Taint) -> bool:
        """Return whether it puts up with the taint."""
        if self.effect not in ("", taint.effect) or self.key not in ("", taint.key):
            return False
        return self.operator == "Exists" or (self.key == taint.key and self.value == taint.value)


class Claim(_Document):
    """The claim that a volume comes from."""

    claim_name: str


class Volume(_Document):
    """A volume of a pod."""

    name: str
    empty_dir: Mapping[str, object] | None = None
    host_path: Mapping[str, object] | None = None
    ephemeral: Mapping[str, object] | None = None
    """A claim that is made and deleted with the pod."""
    persistent_volume_claim: Claim | None = None

    @property
    def local(self) -> bool:
        """Whether the pod's replacement does not have what is in it."""
        return any(kind is not None for kind in (self.empty_dir, self.host_path, self.ephemeral))
