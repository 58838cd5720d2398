"""Each verb on each resource; what kubelets and controllers would do is left to the store's watchers."""

import copy
from typing import Any

from apiserver.patches import apply_operations, merge, strategic
from apiserver.request import Request
from apiserver.store import Object, RefusedError, Store

_KINDS = {"pods": "Pod", "nodes": "Node", "namespaces": "Namespace", "leases": "Lease", "events": "Event"}


def answer(store: Store, request: Request) -> tuple[int, Object]:
    """Do what is asked; return status and body. Raises RefusedError."""
    evicts = (request.verb, request.resource) == ("create", "pods/eviction")
    work = _evict if evicts else _VERBS.get(request.verb)
    if work is None:
        raise RefusedError(405, "MethodNotAllowed", f"{request.verb} is not served here")
    return 201 if request.verb == "create" else 200, work(store, request)


def _get(store: Store, request: Request) -> Object:
    return store.get(request.plural, request.namespace, request.name)


def _list(store: Store, request: Request) -> Object:
    selectors = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    items = store.find(request.plural, request.namespace, *selectors)
    return {"apiVersion": request.group, "kind": "List", "metadata": {"resourceVersion": "0"}, "items": items}


def _create(store: Store, request: Request) -> Object:
    if request.subresource:
        raise RefusedError(405, "MethodNotAllowed", f"nothing is created as {request.resource}")
    kind = _KINDS.get(request.plural, (request.body or {}).get("kind", ""))
    document = {"apiVersion": request.group, "kind": kind, **(request.body or {})}
    return document if _dry(request) else store.create(request.plural, request.namespace, document)


def _change(store: Store, request: Request) -> Object:
    old = store.get(request.plural, request.namespace, request.name)
    whole = request.body if request.verb == "update" else _patched(old, request)
    if request.subresource in ("resize", "status"):
        whole = _only(old, whole, request.subresource)
    if request.resource == "pods":
        _require_same_resources(old, whole)
    return whole if _dry(request) else store.update(request.plural, old, whole)


def _patched(old: Object, request: Request) -> Any:
    try:
        if "json-patch" in request.content_type:
            return apply_operations(old, request.body)
        return (strategic if "strategic" in request.content_type else merge)(old, request.body)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise RefusedError(422, "Invalid", f"the patch does not fit: {error}") from error


def _only(old: Object, whole: Object, subresource: str) -> Object:
    """A subresource changes its own part and leaves the others, as the real server does."""
    if subresource == "status":
        return {**old, "status": whole.get("status", {})}
    containers = copy.deepcopy(old["spec"]["containers"])
    wishes = {container["name"]: container for container in whole["spec"]["containers"]}
    for container in containers:
        container["resources"] = wishes[container["name"]].get("resources", {})
    metadata = {**old["metadata"], "uid": whole["metadata"]["uid"]}
    return {**old, "metadata": metadata, "spec": {**old["spec"], "containers": containers}}


def _require_same_resources(old: Object, whole: Object) -> None:
    before, after = (
        [container.get("resources") for container in pod.get("spec", {}).get("containers", [])] for pod in (old, whole)
    )
    if before != after:
        raise RefusedError(422, "Invalid", "pod updates may not change resources; use pods/resize")


def _delete(store: Store, request: Request) -> Object:
    old = store.get(request.plural, request.namespace, request.name)
    return old if _dry(request) else store.delete(request.plural, old, request.body)


def _evict(store: Store, request: Request) -> Object:
    pod = store.get("pods", request.namespace, request.name)
    for budget in store.find("poddisruptionbudgets", request.namespace):
        wanted = (budget["spec"].get("selector") or {}).get("matchLabels", {})
        own = pod["metadata"].get("labels") or {}
        if wanted.items() <= own.items() and budget.get("status", {}).get("disruptionsAllowed", 0) < 1:
            name = budget["metadata"]["name"]
            raise RefusedError(429, "TooManyRequests", f"Cannot evict pod: it would violate the budget {name}")
    if not _dry(request):
        store.delete("pods", pod, (request.body or {}).get("deleteOptions"))
    return {"kind": "Status", "apiVersion": "v1", "status": "Success"}


def _delete_all(store: Store, request: Request) -> Object:
    selectors = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    for found in store.find(request.plural, request.namespace, *selectors):
        store.delete(request.plural, found)
    return {"kind": "Status", "apiVersion": "v1", "status": "Success"}


def _dry(request: Request) -> bool:
    options = request.body if isinstance(request.body, dict) else {}
    inner = options.get("deleteOptions") or {}
    return any("All" in (each.get("dryRun") or ()) for each in (request.query, options, inner))


_VERBS = {
    "get": _get,
    "list": _list,
    "create": _create,
    "update": _change,
    "patch": _change,
    "delete": _delete,
    "deletecollection": _delete_all,
}
