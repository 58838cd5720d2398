"""What a client asks, in the words of RBAC."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
CHANGES = frozenset(("create", "update", "patch", "delete", "deletecollection"))


@dataclass(frozen=True)
class Request:
    """One request, its path taken apart."""

    verb: str
    group: str
    """With the version, for example ``v1`` or ``apps/v1``."""
    resource: str
    """The plural, with the subresource after a slash."""
    namespace: str
    name: str
    query: dict[str, str] = field(default_factory=dict)
    content_type: str = ""
    body: Any = None

    @property
    def plural(self) -> str:
        """The resource without its subresource."""
        return self.resource.partition("/")[0]

    @property
    def subresource(self) -> str:
        """What is asked of the object; empty for the object itself."""
        return self.resource.partition("/")[2]

    @property
    def changes(self) -> bool:
        """Whether it is more than a question."""
        return self.verb in CHANGES and self.query.get("dryRun") != "All"


def read(method: str, url: str, content_type: str, body: Any) -> Request:
    """Return the request; raise ValueError for a path that is no resource's."""
    split = urlsplit(url)
    parts = [part for part in split.path.split("/") if part]
    group, rest = _group(parts)
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    if not plural:
        raise ValueError(f"{split.path}: is no resource")
    query = {key: values[-1] for key, values in parse_qs(split.query).items()}
    verb = _VERBS.get(method, "get" if name else "list")
    if verb == "list" and query.get("watch") in ("1", "true"):
        verb = "watch"
    if verb == "delete" and not name:
        verb = "deletecollection"
    return Request(
        verb, group, "/".join(filter(None, (plural, subresource))), namespace, name, query, content_type, body
    )


def _group(parts: list[str]) -> tuple[str, list[str]]:
    if parts[:1] == ["api"]:
        return parts[1], parts[2:]
    if parts[:1] == ["apis"] and len(parts) > 2:
        return f"{parts[1]}/{parts[2]}", parts[3:]
    raise ValueError(f"/{'/'.join(parts)}: is no resource")
