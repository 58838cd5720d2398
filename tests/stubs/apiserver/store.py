"""Objects in memory, with what the API server adds to them and the rules by which it refuses."""

import copy
import itertools
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Watcher = Callable[[str, str, Object], None]
"""Told ``created``, ``updated`` or ``deleted``, the plural and the object after each change; may change more."""


@dataclass
class RefusedError(Exception):
    """An answer that is no success."""

    status: int
    reason: str
    message: str
    retry_after: float | None = None


class Store:
    """All objects by (plural, namespace, name). Not locked: its owner is."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._versions = itertools.count(1)

    def get(self, plural: str, namespace: str, name: str) -> Object:
        """Return the very object; raise RefusedError."""
        try:
            return self._objects[plural, namespace, name]
        except KeyError:
            raise RefusedError(404, "NotFound", f'{plural} "{name}" not found') from None

    def find(self, plural: str, namespace: str = "", labels: str = "", fields: str = "") -> list[Object]:
        """Return the objects that selectors select, oldest first; an empty namespace stands for all."""
        return [
            found
            for (kind, place, _), found in self._objects.items()
            if kind == plural and namespace in ("", place) and _selects(labels, fields, found)
        ]

    def create(self, plural: str, namespace: str, document: Object) -> Object:
        """Keep a new object; raise RefusedError where there is one of its name."""
        created = copy.deepcopy(document)
        metadata = created.setdefault("metadata", {})
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
        if namespace:
            metadata["namespace"] = namespace
        key = (plural, namespace, metadata["name"])
        if key in self._objects:
            raise RefusedError(409, "AlreadyExists", f'{plural} "{key[2]}" already exists')
        metadata |= {"uid": str(uuid.uuid4()), "resourceVersion": str(next(self._versions))}
        metadata["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._objects[key] = created
        self._tell("created", plural, created)
        return created

    def update(self, plural: str, old: Object, document: Object) -> Object:
        """Put ``document`` in the place of ``old``; raise RefusedError where it was made from an older version."""
        metadata = document.setdefault("metadata", {})
        for key in ("resourceVersion", "uid"):
            if metadata.get(key, old["metadata"][key]) != old["metadata"][key]:
                raise RefusedError(
                    409, "Conflict", f"the object has been modified: its {key} is {old['metadata'][key]}"
                )
        given = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        fixed = {key: old["metadata"][key] for key in given if key in old["metadata"]}
        changed = {**document, "metadata": {**metadata, **fixed}}
        if changed != old:
            changed = copy.deepcopy(changed)
            changed["metadata"]["resourceVersion"] = str(next(self._versions))
            old.clear()
            old.update(changed)
            self._tell("updated", plural, old)
        return old

    def delete(self, plural: str, old: Object, options: Object | None = None) -> Object:
        """Take the object away at once; raise RefusedError where it is not the one that is meant."""
        for key, wanted in ((options or {}).get("preconditions") or {}).items():
            if wanted != old["metadata"][key]:
                raise RefusedError(409, "Conflict", f"the {key} in the precondition does not match")
        metadata = old["metadata"]
        del self._objects[plural, metadata.get("namespace", ""), metadata["name"]]
        self._tell("deleted", plural, old)
        return old

    def _tell(self, event: str, plural: str, changed: Object) -> None:
        for watcher in self.watchers:
            watcher(event, plural, changed)


def _selects(labels: str, fields: str, found: Object) -> bool:
    own = found["metadata"].get("labels") or {}
    return all(_label_fits(term.strip(), own) for term in re.split(r",(?![^(]*\))", labels) if term.strip()) and all(
        _field_fits(term, found) for term in fields.split(",") if term
    )


def _label_fits(term: str, own: dict[str, str]) -> bool:
    if member := re.fullmatch(r"(\S+) (in|notin) \((.*)\)", term):
        name, word, values = member.groups()
        return (own.get(name) in [value.strip() for value in values.split(",")]) == (word == "in")
    if "!=" in term:
        name, _, value = term.partition("!=")
        return own.get(name) != value
    if "=" in term:
        name, _, value = term.replace("==", "=").partition("=")
        return own.get(name) == value
    return term[1:] not in own if term.startswith("!") else term in own


def _field_fits(term: str, found: Object) -> bool:
    path, _, value = term.replace("==", "=").partition("=")
    unlike = path.endswith("!")
    return (str(next(_walk(found, path.rstrip("!").split(".")), "")) == value) != unlike


def _walk(place: Any, path: list[str]) -> Iterator[Any]:
    for part in path:
        if not isinstance(place, dict) or part not in place:
            return
        place = place[part]
    yield place
