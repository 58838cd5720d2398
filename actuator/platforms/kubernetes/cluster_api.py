"""The further calls to the API server that moves take."""

from kubernetes.client import (
    AdmissionregistrationV1Api,
    ApiClient,
    PolicyV1Api,
    V1DeleteOptions,
    V1Eviction,
    V1ObjectMeta,
    V1Preconditions,
)

from actuator.platforms.errors import ConflictError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.budgets import Budget, Budgets
from actuator.platforms.kubernetes.calls import BusyError
from actuator.platforms.kubernetes.documents import Node, Nodes
from actuator.platforms.kubernetes.volumes import BoundClaim, PersistentVolume
from actuator.platforms.kubernetes.webhooks import WebhookClient, WebhookConfiguration


class ClusterApi(Api):
    """One API server, with what is asked of whole clusters and of budgets."""

    def __init__(self, client: ApiClient, timeout: float) -> None:
        super().__init__(client, timeout)
        self._policy, self._admission = PolicyV1Api(client), AdmissionregistrationV1Api(client)

    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes. Raises PlatformError."""
        return self._ask(Nodes, self._core.list_node).items

    def budgets(self, namespace: str) -> tuple[Budget, ...]:
        """Return the disruption budgets of a namespace. Raises PlatformError."""
        return self._ask(Budgets, self._policy.list_namespaced_pod_disruption_budget, namespace).items

    def claim(self, namespace: str, name: str) -> BoundClaim:
        """Return a claim of a persistent volume. Raises PlatformError."""
        return self._ask(BoundClaim, self._core.read_namespaced_persistent_volume_claim, name, namespace)

    def volume(self, name: str) -> PersistentVolume:
        """Return a persistent volume. Raises PlatformError."""
        return self._ask(PersistentVolume, self._core.read_persistent_volume, name)

    def webhook_clients(self, name: str) -> list[WebhookClient]:
        """Return how the webhooks of a mutating configuration are asked. Raises PlatformError."""
        found = self._ask(WebhookConfiguration, self._admission.read_mutating_webhook_configuration, name)
        return [each.client_config for each in found.webhooks]

    def evict(self, namespace: str, name: str, uid: str) -> None:
        """Evict the pod of this ``uid`` and no other of its name. Raises PlatformError.

        A budget's refusal comes as a busy server's does, and is no reason to wait here: when it passes is the owner's.
        """
        options = V1DeleteOptions(preconditions=V1Preconditions(uid=uid))
        metadata = V1ObjectMeta(name=name, namespace=namespace)
        body = V1Eviction(api_version="policy/v1", kind="Eviction", metadata=metadata, delete_options=options)
        try:
            self._call.once(self._core.create_namespaced_pod_eviction, name, namespace, body)
        except BusyError as error:
            raise ConflictError(str(error), "disruption_budget") from error
