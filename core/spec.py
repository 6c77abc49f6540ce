"""Spec, the closed and immutable base of everything a client may describe, and what is wrong with one.

A wrong spec is always reported as `Finding`s: a JSON pointer to the place and a sentence with the way out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Numbers are taken at their word: "16", true and 16.0 are not the integer 16.
Number = Annotated[float, Field(strict=True)]
PositiveNumber = Annotated[float, Field(strict=True, gt=0, le=1e30)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]

DISCRIMINATORS = ("type", "kind")
# How a field is written that is an object where a beginner may send a word or a number.
EXAMPLES = {
    "network": '{"layers": [...]}',
    "loss": '{"type": "quadratic"}',
    "optimizer": '{"type": "sgd", "learning_rate": 0.1}',
    "validation": '{"fraction": 0.2}',
    "preprocessing": '{"scale": "unit"}',
    "early_stopping": '{"patience": 5}',
    "regularization": '{"l2": 0.0001}',
    "gradient_clipping": '{"norm": 1}',
}


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
    tags, choices = _unions()
    result = []
    for item in error.errors(include_url=False):
        path = _without_members(item["loc"], tags, choices)
        context = item.get("ctx", {})
        if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
            field = str(context["discriminator"]).strip("'")
            path.append(field)
            context["named"] = isinstance(item["input"], dict) and isinstance(item["input"].get(field), str)
        result.append((item["type"], Finding(pointer(path), _sentence(item["type"], item["msg"], path, context))))
    # A list whose entries are wrong also counts as too short, since only the right ones were counted.
    places = [found.pointer for _, found in result]
    return [
        found
        for kind, found in result
        if kind != "too_short" or not any(at.startswith(found.pointer + "/") for at in places)
    ]


def _unions() -> tuple[set[str], set[str]]:
    """The names of all members of discriminated unions, which pydantic weaves into its locations, and of all fields
    that hold such a union."""
    tags: set[str] = set()
    choices: set[str] = set()
    waiting: list[type[BaseModel]] = [Spec]
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        tags |= set(_tags(cls))
        choices |= {name for name, field in cls.model_fields.items() if _chooses(field.annotation)}
    return tags, choices


def _tags(cls: type[BaseModel]) -> Iterator[str]:
    for name in DISCRIMINATORS:
        field = cls.model_fields.get(name)
        if field is not None and isinstance(field.default, str):
            yield field.default


def _chooses(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_tags(annotation))
    return any(_chooses(argument) for argument in get_args(annotation))


def _without_members(location: Iterable[str | int], tags: set[str], choices: set[str]) -> list[str | int]:
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


def _sentence(kind: str, message: str, path: Sequence[str | int], context: dict[str, Any]) -> str:
    field = str(path[-1])[:80] if path else ""
    match kind:
        case "union_tag_invalid":
            sentence = _unknown_type(str(context["tag"]) if context["named"] else None, str(context["expected_tags"]))
        case "union_tag_not_found":
            sentence = f'Say which one is meant with a field "{field}".'
        case "missing":
            sentence = f'The field "{field}" is required.'
        case "extra_forbidden":
            sentence = f'There is no field "{field}" here.'
        case "too_short":
            sentence = f"At least {context['min_length']} is needed here."
        case "too_long":
            sentence = f"At most {context['max_length']} are allowed here."
        case "dict_type" | "model_type" | "model_attributes_type":
            example = EXAMPLES.get(field)
            sentence = "This must be an object in braces" + (f", such as {example}." if example else ".")
        case "string_pattern_mismatch":
            sentence = (
                f"Use letters, digits and . _ - alone, a letter or digit first ({context['pattern']}), with no spaces."
            )
        case "less_than_equal":
            limit = context["le"]
            sentence = f"This must be at most {limit if isinstance(limit, int) else format(limit, 'g')}."
        case "finite_number":
            sentence = "This must be a finite number, not NaN or Infinity."
        case _:
            sentence = message.removeprefix("Value error, ").removesuffix(".") + "."
    return sentence


def _unknown_type(tag: str | None, expected: str) -> str:
    known = [name.strip().strip("'") for name in expected.split(",")]
    if tag is None:
        return f"This must be the name of a type; known are {', '.join(known)}."
    near = difflib.get_close_matches(tag, known, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f'There is no type "{tag[:80]}" here; known are {", ".join(known)}.{hint}'
