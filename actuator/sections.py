"""What the files of this program share: strict sections, and what is wrong with one in a line."""

from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError


class Section(BaseModel):
    """A part of a file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first problem as ``key: what is wrong; remedy``, for a document of ``model``."""
    problem = error.errors()[0]
    location = [str(part) for part in problem["loc"]]
    key, _ = _place(model, location)
    if problem["type"] == "extra_forbidden":
        return f"{key}: is no key here; use one of {', '.join(_keys(model, location[:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: is missing; add it"
    if problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        return f"{key}.kind: is {context['tag']!r}; use one of {context['expected_tags']}"
    message = problem["msg"].removeprefix("Value error, ")
    if not key:
        return message
    return f"{key}: {message[:1].lower()}{message[1:]} (it is {problem['input']!r}); change it"


def _keys(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    _, models = _place(model, location)
    return sorted({name for each in models for name in each.model_fields})


def _place(model: type[BaseModel], location: Sequence[str]) -> tuple[str, list[type[BaseModel]]]:
    """Return the key at ``location``, and what may stand there; the tag of a union is in no file's key."""
    known, keys = [model], list[str]()
    for part in location:
        tagged = [each for each in known if len(known) > 1 and each.model_fields["kind"].default == part]
        if tagged:
            known = tagged
            continue
        keys.append(part)
        known = [kind for each in known if part in each.model_fields for kind in _models(each, part)]
    return ".".join(keys), known


def _models(model: type[BaseModel], key: str) -> list[type[BaseModel]]:
    annotation = model.model_fields[key].annotation
    return [kind for kind in get_args(annotation) or (annotation,) if _is_model(kind)]


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
