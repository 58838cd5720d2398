"""The calls made to the API server about pods, nodes and who else owns their limits."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from kubernetes.client import ApiClient, AppsV1Api, AutoscalingV2Api, CoreV1Api, CustomObjectsApi, EventsV1Api
from pydantic import ValidationError

from actuator.platforms.errors import GoneError, UnavailableError
from actuator.platforms.kubernetes.calls import Calls
from actuator.platforms.kubernetes.documents import Document, Metadata, Named, Node, Pod, Pods
from actuator.platforms.kubernetes.rivals import Horizontals, Verticals

_MERGE = "application/strategic-merge-patch+json"
_PAGE = 500
D = TypeVar("D", bound=Document)


class Api:
    """One API server, as the identity that ``client`` was made for."""

    def __init__(self, client: ApiClient, timeout: float) -> None:
        self._core, self._call = CoreV1Api(client), Calls(timeout)
        self._apps, self._events = AppsV1Api(client), EventsV1Api(client)
        self._autoscaling, self._custom = AutoscalingV2Api(client), CustomObjectsApi(client)

    def pod(self, namespace: str, name: str) -> Pod:
        """Return a pod. Raises PlatformError."""
        return self._ask(Pod, self._core.read_namespaced_pod, name, namespace)

    def node(self, name: str) -> Node:
        """Return a node. Raises PlatformError."""
        return self._ask(Node, self._core.read_node, name)

    def pods(self) -> Iterator[Pod]:
        """Return the pods of all namespaces. Raises PlatformError."""
        rest = None
        while rest is None or rest:
            more: dict[str, str] = {"_continue": rest} if rest else {}
            page = self._ask(Pods, self._core.list_pod_for_all_namespaces, limit=_PAGE, **more)
            yield from page.items
            rest = page.metadata.rest

    def labelled(self, namespace: str, labels: str) -> list[Pod]:
        """Return the pods of a namespace that a label selector names. Raises PlatformError."""
        return list(self._ask(Pods, self._core.list_namespaced_pod, namespace, label_selector=labels).items)

    def create(self, namespace: str, manifest: Mapping[str, Any]) -> Pod:
        """Make a pod; raise ConflictError where one of its name is there."""
        return self._ask(Pod, self._core.create_namespaced_pod, namespace, manifest)

    def delete(self, namespace: str, name: str) -> None:
        """Delete a pod without any grace; one that is gone is right. Raises PlatformError."""
        with suppress(GoneError):
            self._call(self._core.delete_namespaced_pod, name, namespace, grace_period_seconds=0)

    def namespace(self, name: str) -> Metadata:
        """Return what a namespace is called and what people wrote on it. Raises PlatformError."""
        return self._ask(Named, self._core.read_namespace, name).metadata

    def replica_set(self, namespace: str, name: str) -> Metadata:
        """Return who made a replica set. Raises PlatformError."""
        return self._ask(Named, self._apps.read_namespaced_replica_set, name, namespace).metadata

    def horizontals(self, namespace: str) -> Horizontals:
        """Return the horizontal autoscalers of a namespace. Raises PlatformError."""
        return self._ask(Horizontals, self._autoscaling.list_namespaced_horizontal_pod_autoscaler, namespace)

    def verticals(self, namespace: str) -> Verticals:
        """Return the vertical autoscalers of a namespace; raise GoneError where their kind is not known."""
        which = ("autoscaling.k8s.io", "v1", namespace, "verticalpodautoscalers")
        return self._ask(Verticals, self._custom.list_namespaced_custom_object, *which)

    def resize(self, pod: Pod, container: str, resources: Mapping[str, Mapping[str, str]]) -> None:
        """Ask for other resources of one container of this very pod. Raises PlatformError."""
        spec = {"containers": [{"name": container, "resources": resources}]}
        self._patch(self._core.patch_namespaced_pod_resize, pod, {"spec": spec})

    def annotate(self, pod: Pod, name: str, text: str | None) -> None:
        """Write an annotation on this very pod, or take it away. Raises PlatformError."""
        self._patch(self._core.patch_namespaced_pod, pod, {"metadata": {"annotations": {name: text}}})

    def tell(self, namespace: str, event: Mapping[str, object]) -> None:
        """Record an event. Raises PlatformError."""
        self._call(self._events.create_namespaced_event, namespace, event)

    def _patch(self, call: Callable[..., Any], pod: Pod, change: dict[str, Any]) -> None:
        """Name the uid along: a pod of the same name that came meanwhile is another, and keeps what it has."""
        body = {**change, "metadata": {"uid": pod.metadata.uid, **change.get("metadata", {})}}
        self._call(call, pod.metadata.name, pod.metadata.namespace, body, _content_type=_MERGE)

    def _ask(self, document: type[D], method: Callable[..., Any], *arguments: object, **options: object) -> D:
        text = self._call.text(method, *arguments, **options)
        try:
            return document.model_validate_json(text)  # most of a long list never becomes objects this way
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise UnavailableError(f"the API server's answer makes no sense: {where}: {problem['msg']}") from error
