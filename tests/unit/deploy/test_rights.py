"""The rights that the chart gives the actuator are those that its calls take, neither more nor less."""

import ast
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from types import UnionType
from typing import Any, Union, get_args, get_origin

import kubernetes.client
import pytest
from kubernetes.client import ApiClient

from actuator.leader import Lease
from actuator.platforms.errors import PlatformError
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.documents import Metadata, Pod, PodSpec
from actuator.platforms.kubernetes.leases import ClusterLease, LeaderLabel
from actuator.platforms.kubernetes.orders import OrderObjects
from deploy.setup.stamps import ROOT

HOME = "cpp-system"
Objects = dict[tuple[str, str, str], dict[str, Any]]
Right = tuple[str, str, str]
"""API group, resource, verb."""
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_CALL = re.compile(r"(read|list|create|patch|replace|delete|get)_\w+")
_DUMMIES = {
    str: "x",
    int: 1,
    Pod: Pod(metadata=Metadata(name="x", namespace="x", uid="u"), spec=PodSpec(containers=())),
    Lease: Lease("x", 15, 1, "", "1"),
    type(None): None,
}


class Answer:
    """Enough of an answer for whoever asked to go on."""

    status = 200
    data = json.dumps({"items": [], "metadata": {"name": "x", "resourceVersion": "1"}, "spec": {}}).encode()

    @property
    def response(self) -> "Answer":
        return self


class Recorder(ApiClient):
    """Sends nothing; remembers which generated call asked for which right."""

    def __init__(self) -> None:
        super().__init__()
        self.rights: dict[str, set[Right]] = {}

    def param_serialize(self, method: str, resource_path: str, path_params: Any = None, **more: Any) -> Any:
        call = inspect.stack()[1].function.removeprefix("_").removesuffix("_serialize")
        path = resource_path.format(**{"name": "x", "namespace": "x", **(path_params or {})})
        self.rights.setdefault(call, set()).add(right(method, path))
        return super().param_serialize(method, resource_path, path_params, **more)

    def call_api(self, *_: Any, **__: Any) -> Any:
        return Answer()


def right(method: str, path: str) -> Right:
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    verb = _VERBS.get(method, "get" if len(rest) > 1 else "list")
    return group, "/".join(rest[0::2]), verb


def dummies(method: Callable[..., Any]) -> Iterator[tuple[Any, ...]]:
    """Arguments of a method, one tuple for each choice that its annotations leave."""
    parameters = inspect.signature(method, eval_str=True).parameters.values()
    return itertools.product(*(list(_values(parameter.annotation)) for parameter in parameters))


def _values(kind: Any) -> Iterable[Any]:
    if get_origin(kind) in (Union, UnionType):
        return [value for each in get_args(kind) for value in _values(each)]
    return [_DUMMIES[kind]] if kind in _DUMMIES else [{}, {"eventTime": datetime.now(UTC)}]


@pytest.fixture(scope="module")
def recorded() -> dict[str, set[Right]]:
    """What each generated call asks for, of all that the actuator's classes make."""
    client = Recorder()
    clients = (ClusterApi(client, 1.0), ClusterLease(client, HOME), OrderObjects(client, HOME))
    for one in (*clients, LeaderLabel(client, HOME, "x")):
        for name, method in inspect.getmembers(one, inspect.ismethod):
            if name.startswith("_"):
                continue
            for arguments in dummies(method):
                with suppress(PlatformError):
                    result = method(*arguments)
                    if isinstance(result, Iterator):
                        list(result)
    return client.rights


def granted(objects: Objects) -> set[Right]:
    roles = [each for (kind, _, name), each in objects.items() if kind.endswith("Role") and "actuator" in name]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def test_every_call_in_the_sources_is_recorded(recorded: dict[str, set[Right]]) -> None:
    generated = {
        name
        for each in vars(kubernetes.client).values()
        if inspect.isclass(each) and each.__name__.endswith("Api")
        for name in vars(each)
    }
    trees = [ast.parse(path.read_text()) for path in (ROOT / "actuator").rglob("*.py")]
    named = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in named & generated if _CALL.fullmatch(name)} == recorded.keys()


def test_the_actuator_has_the_rights_it_uses_and_no_other(shipped: Objects, recorded: dict[str, set[Right]]) -> None:
    used = set().union(*recorded.values())
    assert granted(shipped) == used


def test_what_changes_the_cluster_is_granted_only_at_home_or_where_it_may_act(shipped: Objects) -> None:
    observes = shipped["ClusterRole", "", "cpp-actuator-observes"]["rules"]
    for rule in observes:
        assert rule["resources"] == ["events"] or set(rule["verbs"]) <= {"get", "list"}
