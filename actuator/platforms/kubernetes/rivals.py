"""Who else sets a workload's resources: autoscalers, whose own parts of the API are read here."""

from collections.abc import Collection, Iterable, Mapping

from pydantic import Field

from actuator.platforms.kubernetes.documents import Document, Metadata

_HORIZONTAL, _VERTICAL = "HorizontalPodAutoscaler", "VerticalPodAutoscaler"
Owner = tuple[str, str]
"""Kind and name of what made a pod, or made its maker."""


class TargetReference(Document):
    """What an autoscaler scales."""

    kind: str
    name: str


class MetricSource(Document):
    """The resource that a metric is about, and the container, where it is about one."""

    name: str
    container: str = ""


class Metric(Document):
    """One metric of a horizontal autoscaler; only those of resources matter here."""

    resource: MetricSource | None = None
    container_resource: MetricSource | None = None


class HorizontalSpec(Document):
    """What a horizontal autoscaler scales, and by what."""

    scale_target_ref: TargetReference
    metrics: tuple[Metric, ...] = ()


class Horizontal(Document):
    """A HorizontalPodAutoscaler of ``autoscaling/v2``."""

    metadata: Metadata
    spec: HorizontalSpec

    def resources(self, container: str) -> Iterable[str]:
        """Return the resources of a container that it goes by: a change of a request changes its reckoning."""
        for metric in self.spec.metrics:
            for source in (metric.resource, metric.container_resource):
                if source is not None and source.container in ("", container):
                    yield source.name


class ContainerPolicy(Document):
    """What a vertical autoscaler does with one container, or with all others."""

    container_name: str = "*"
    mode: str = "Auto"
    controlled_resources: tuple[str, ...] = ("cpu", "memory")


class ResourcePolicy(Document):
    """Policies by container."""

    container_policies: tuple[ContainerPolicy, ...] = ()


class UpdatePolicy(Document):
    """Whether recommendations are applied."""

    update_mode: str = "Auto"


class VerticalSpec(Document):
    """What a vertical autoscaler sizes, and how."""

    target_ref: TargetReference
    update_policy: UpdatePolicy = UpdatePolicy()
    resource_policy: ResourcePolicy = ResourcePolicy()


class Vertical(Document):
    """A VerticalPodAutoscaler of ``autoscaling.k8s.io/v1``."""

    metadata: Metadata
    spec: VerticalSpec

    def resources(self, container: str) -> Iterable[str]:
        """Return the resources of a container that it sets."""
        if self.spec.update_policy.update_mode == "Off":
            return ()
        policies = {policy.container_name: policy for policy in self.spec.resource_policy.container_policies}
        policy = policies.get(container) or policies.get("*") or ContainerPolicy()
        return () if policy.mode == "Off" else policy.controlled_resources


class Horizontals(Document):
    """A list of them."""

    items: tuple[Horizontal, ...] = Field(default=())


class Verticals(Document):
    """A list of them."""

    items: tuple[Vertical, ...] = Field(default=())


def rivals(
    owners: Collection[Owner], container: str, horizontals: Horizontals, verticals: Verticals
) -> Mapping[str, str]:
    """Return by resource who else sets it, or goes by it, for a container of these owners."""
    found: list[tuple[str, Metadata, TargetReference, Iterable[str]]] = [
        *((_HORIZONTAL, h.metadata, h.spec.scale_target_ref, h.resources(container)) for h in horizontals.items),
        *((_VERTICAL, v.metadata, v.spec.target_ref, v.resources(container)) for v in verticals.items),
    ]
    return {
        resource: f"{kind} {metadata.name}"
        for kind, metadata, scaled, resources in found
        if (scaled.kind, scaled.name) in owners
        for resource in resources
    }
