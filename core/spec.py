"""Spec, the closed and immutable base of everything a client may describe, and what is wrong with one.

A wrong spec is always reported as `Finding`s: a JSON pointer to the place and a sentence with the way out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Annotated, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.sentences import form, sentence

# Taken at their word: "16", true and 16.0 are not the integer 16, nor are "yes" and 1 true.
Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
PositiveNumber = Annotated[float, Field(strict=True, gt=0, le=1e30)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]

DISCRIMINATORS = ("type", "kind")


class Spec(BaseModel):
    """An immutable description that survives JSON exactly; unknown fields, NaN and Infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Finding(NamedTuple):
    """One thing that is wrong: where (RFC 6901 JSON pointer, "" for the whole) and what to do about it."""

    pointer: str
    detail: str


class SpecError(Exception):
    """A description that cannot be carried out; `errors` says where and why, in order."""

    def __init__(self, errors: Iterable[Finding]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{at or '/'}: {detail}" for at, detail in self.errors))


def pointer(path: Iterable[str | int]) -> str:
    """The JSON pointer of a path of keys and indices: ("a/b", 0) -> "/a~1b/0"."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def findings(error: ValidationError) -> list[Finding]:
    """What pydantic found, for people: pointers into the JSON document, without the names of union members.

    The offending value is never repeated (it may be NaN, huge or secret), except a misspelt type name.
    """
    choices = _choices()
    tags = {tag for forms in choices.values() for tag in forms}
    result = []
    for item in error.errors(include_url=False):
        path = _without_members(item["loc"], tags, choices)
        if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
            path.append(str(item["ctx"]["discriminator"]).strip("'"))
        field = next((part for part in reversed(path) if isinstance(part, str)), "")
        result.append((item["type"], Finding(pointer(path), sentence(item, path, choices.get(field, {})))))
    # A list whose entries are wrong also counts as too short, since only the right ones were counted.
    places = [found.pointer for _, found in result]
    return [
        found
        for kind, found in result
        if kind != "too_short" or not any(at.startswith(found.pointer + "/") for at in places)
    ]


def _choices() -> dict[str, dict[str, str]]:
    """All fields that hold a member of a discriminated union: the names of its members, which pydantic weaves into its
    locations, with how each is written."""
    choices: dict[str, dict[str, str]] = {}
    waiting: list[type[BaseModel]] = [Spec]
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        for name, field in cls.model_fields.items():
            forms = dict(_forms(field.annotation))
            if forms:
                choices.setdefault(field.alias or name, {}).update(forms)
    return choices


def _forms(annotation: object) -> Iterator[tuple[str, str]]:
    """The name and the form of each type with a name of its own among what an annotation allows."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        for argument in get_args(annotation):
            yield from _forms(argument)
        return
    for name in DISCRIMINATORS:
        field = annotation.model_fields.get(name)
        if field is not None and isinstance(field.default, str):
            fields = annotation.model_fields.items()
            yield field.default, form(field.default, name, {n: f.examples for n, f in fields if f.is_required()})


def _without_members(location: Iterable[str | int], tags: set[str], choices: Container[str]) -> list[str | int]:
    """The path in the document: a member's name comes right behind the field that holds it, or its index there.

    A field may have the name of a member of another union.
    """
    path: list[str | int] = []
    choosing = True  # the document may be a member itself
    for part in location:
        if isinstance(part, str) and part.startswith("<"):
            continue  # the tag of a member that is chosen by a function instead of a field
        if isinstance(part, str):
            if choosing and part in tags:
                choosing = False
                continue
            choosing = part in choices
        path.append(part)
    return path
