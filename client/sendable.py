"""What can be written as JSON, and where in a body something stands that cannot."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from client.errors import InputError

Place = tuple[str, Any]


def refusal(body: Any, error: Exception) -> InputError:
    """What is wrong with a body that could not be written as JSON: its first such place, as a JSON pointer."""
    try:
        for pointer, value in _leaves(body):
            if (wrong := _wrong(value)) is not None:
                return InputError(wrong, pointer=pointer)
    except RecursionError:
        return InputError("What was given is nested too deeply to be sent, or holds itself.")
    return InputError(f"This cannot be written as JSON: {error}.")


def _leaves(value: Any, pointer: str = "") -> Iterator[Place]:
    """Everything in it that holds nothing else, and the keys of its objects, in their order."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            within = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if isinstance(key, str):
                yield within, key
            yield from _leaves(item, within)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{pointer}/{number}")
    else:
        yield pointer, value


def _wrong(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return f"{name} is no number to compute with; send a finite one."
    if isinstance(value, complex):
        return f"{value} is complex; send real numbers, such as its .real or abs()."
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "This text holds half of a surrogate pair, which is no character; send whole ones."
        return None
    if value is None or isinstance(value, bool | int | float):
        return None
    return f"This is of type {type(value).__name__}, which JSON has not; send numbers, texts, lists or dictionaries."
