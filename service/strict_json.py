"""JSON as RFC 8259 and I-JSON mean it: what other parsers let pass silently is refused here, with its place."""

import json
import math
from dataclasses import dataclass
from typing import Any

from core.spec import pointer

MAX_DEPTH = 64
INTEGER_LIMIT = 2**63
INTEGER_SENTENCE = "The integer does not fit 64 bits; integers must lie between -2^63 and 2^63 - 1."
FLOAT_SENTENCE = "The number is too large for a 64-bit float; send a finite number."


@dataclass
class MalformedJson(Exception):
    """The text is not JSON at all."""

    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass
class RefusedJson(Exception):
    """The text is JSON, or nearly, but holds a value that cannot be kept exactly. `pointer` is RFC 6901."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True)
class _Refusal:
    """Stands in the parsed value where something must be refused, until its place is known."""

    detail: str


def _constant(name: str) -> _Refusal:
    return _Refusal(f"{name} is not a JSON number; send a finite number, or leave the value out.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Refusal:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return _Refusal(f"The key {_shown(twice)} is given twice; keep one of them.")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def loads(text: bytes) -> Any:
    """Parse JSON.

    Raises:
        MalformedJson: the text is not JSON in UTF-8.
        RefusedJson: NaN, infinities, integers beyond 64 bits, lone surrogates, NUL, duplicate keys, deep nesting.
    """
    try:
        value = _decoder.decode(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"The body is not JSON: {error.msg.lower()} at {place}.") from None
    except RecursionError:
        raise _too_deep("") from None
    except ValueError:  # more digits than Python cares to convert
        raise RefusedJson("", INTEGER_SENTENCE) from None
    _inspect(value)
    return value


def _too_deep(place: str) -> RefusedJson:
    return RefusedJson(place, f"The value is nested more than {MAX_DEPTH} levels deep.")


def _shown(text: str) -> str:
    """A key from outside, made safe to print."""
    return json.dumps(text[:80])


def _inspect(root: Any) -> None:
    """Walk the value without recursion; raises RefusedJson at the first thing that must not pass."""
    stack: list[tuple[Any, tuple[str | int, ...]]] = [([root], ())]
    while stack:
        container, place = stack.pop()
        depth = len(place)
        for step, member in container.items() if type(container) is dict else enumerate(container):
            if type(step) is str and (problem := _problem_of_text(step)):
                raise RefusedJson(pointer(place[1:]), f"The key {_shown(step)} {problem}")
            if type(member) is dict or type(member) is list:
                if depth >= MAX_DEPTH:
                    raise _too_deep(pointer(place[1:9]))
                stack.append((member, (*place, step)))
            elif flaw := _flaw(member):
                raise RefusedJson(pointer((*place, step)[1:]), flaw)


def _flaw(value: Any) -> str | None:
    """What is wrong with a value that is no list and no object."""
    kind = type(value)
    if kind is float:
        return None if math.isfinite(value) else FLOAT_SENTENCE
    if kind is int:
        return None if -INTEGER_LIMIT <= value < INTEGER_LIMIT else INTEGER_SENTENCE
    if kind is str:
        problem = _problem_of_text(value)
        return f"The text {problem}" if problem else None
    return value.detail if kind is _Refusal else None


def _problem_of_text(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character, which cannot be stored."
    if text.isascii():
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is not a character."
    return None
