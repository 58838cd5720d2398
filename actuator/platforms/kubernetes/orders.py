"""The objects ``containerorders.cpp.dev`` in the actuator's namespace."""

from collections.abc import Mapping
from typing import Any

from kubernetes.client import ApiClient, CustomObjectsApi

from actuator.ledger.objects import Spec, Stored
from actuator.platforms.kubernetes.calls import Calls

GROUP, VERSION, PLURAL, KIND = "cpp.dev", "v1alpha1", "containerorders", "ContainerOrders"
_TIMEOUT = 5.0
_ATTEMPTS = 2
"""While one transaction waits for the API server, all others wait."""


class OrderObjects:
    """Implements ``ledger.objects.Objects``, whose words describe the methods."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._custom, self._call = CustomObjectsApi(client), Calls(_TIMEOUT, _ATTEMPTS)
        self._place = (GROUP, VERSION, namespace, PLURAL)

    def all(self) -> list[Stored]:
        """See Objects."""
        found = self._call(self._custom.list_namespaced_custom_object, *self._place)
        return [_stored(item) for item in found["items"]]

    def get(self, name: str) -> Stored:
        """See Objects."""
        return _stored(self._call(self._custom.get_namespaced_custom_object, *self._place, name))

    def create(self, name: str, spec: Spec) -> str:
        """See Objects."""
        body = _document({"name": name}, spec)
        return _stored(self._call(self._custom.create_namespaced_custom_object, *self._place, body)).version

    def replace(self, name: str, spec: Spec, version: str) -> str:
        """See Objects."""
        body = _document({"name": name, "resourceVersion": version}, spec)
        return _stored(self._call(self._custom.replace_namespaced_custom_object, *self._place, name, body)).version

    def delete(self, name: str, version: str) -> None:
        """See Objects."""
        body = {"preconditions": {"resourceVersion": version}}
        self._call(self._custom.delete_namespaced_custom_object, *self._place, name, body=body)


def _stored(item: Mapping[str, Any]) -> Stored:
    return Stored(item["metadata"]["name"], item["metadata"]["resourceVersion"], item.get("spec") or {})


def _document(metadata: dict[str, str], spec: Spec) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": metadata, "spec": spec}
