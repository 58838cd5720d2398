"""The three kinds of patch that clients send."""

import copy
from collections.abc import Callable
from typing import Any

_KEYS = ("name", "type", "uid", "topologyKey", "ip")
"""What members of a list are known by in a strategic merge, whatever the list."""


def merge(old: Any, patch: Any) -> Any:
    """Return ``old`` after a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    return _merge_fields(old, patch, merge)


def strategic(old: Any, patch: Any) -> Any:
    """Return ``old`` after a strategic merge patch: lists of named members are merged member by member."""
    if isinstance(patch, list):
        return _merge_members(old if isinstance(old, list) else [], patch)
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    return _merge_fields(old, patch, strategic)


def _merge_fields(old: Any, patch: dict[str, Any], merge_values: Callable[[Any, Any], Any]) -> dict[str, Any]:
    merged = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_values(merged.get(name), value)
    return merged


def apply_operations(old: Any, operations: list[dict[str, Any]]) -> Any:
    """Return ``old`` after a JSON patch (RFC 6902) of add, replace, remove and test."""
    changed = copy.deepcopy(old)
    for operation in operations:
        *path, last = [_unescaped(part) for part in operation["path"].split("/")[1:]]
        place = changed
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place[part]
        _operate(place, last, operation)
    return changed


def _merge_members(old: list[Any], patch: list[Any]) -> list[Any]:
    key = next((key for key in _KEYS if all(isinstance(member, dict) and key in member for member in patch)), None)
    if key is None:
        return copy.deepcopy(patch)
    merged = {member[key]: member for member in old}
    for member in patch:
        if member.get("$patch") == "delete":
            merged.pop(member[key], None)
        else:
            merged[member[key]] = strategic(merged.get(member[key]), member)
    return list(merged.values())


def _operate(place: Any, last: str, operation: dict[str, Any]) -> None:
    if isinstance(place, list):
        number = len(place) if last == "-" else int(last)
        _operate_list(place, number, operation)
    elif operation["op"] == "remove":
        del place[last]
    elif operation["op"] == "test":
        if place.get(last) != operation["value"]:
            raise ValueError(f"test of {operation['path']} failed")
    else:
        place[last] = operation["value"]


def _operate_list(place: list[Any], number: int, operation: dict[str, Any]) -> None:
    match operation["op"]:
        case "add":
            place.insert(number, operation["value"])
        case "remove":
            del place[number]
        case _:
            place[number] = operation["value"]


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
