"""What is wrong with a field of a description, as a sentence with the way out.

The offending value is never repeated (it may be NaN, huge or secret), except the name of a type.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

# How a field is written that is an object or a list where a beginner may send a word or a number.
EXAMPLES = {
    "network": '{"layers": [...]}',
    "loss": '{"type": "quadratic"}',
    "optimizer": '{"type": "sgd", "learning_rate": 0.1}',
    "validation": '{"fraction": 0.2}',
    "preprocessing": '{"scale": "unit"}',
    "early_stopping": '{"patience": 5}',
    "checkpoints": '{"every_epochs": 5}',
    "limits": '{"runtime_s": 3600}',
    "regularization": '{"l2": 0.0001}',
    "gradient_clipping": '{"norm": 1}',
    "parameters": '{"beta": 1.0}',
    "learning_rate": '{"type": "cosine", "learning_rate": 0.1}',
    "then": '{"type": "cosine", "learning_rate": 0.1}',
    "weights": '{"type": "he_normal"}',
    "recurrent_weights": '{"type": "orthogonal"}',
    "biases": '{"type": "zeros"}',
    "layers": '{"type": "dense", "units": 16}',
    "augmentation": '{"type": "shift", "pixels": 2}',
    "metrics": '{"type": "f1"}',
}
LISTS = {
    "shape": "[28, 28, 1]",
    "class_weights": "[1.0, 1.0, 4.0]",
    "input_shape": "[28, 28, 1]",
    "rows": "[0, 1000]",
}
# A pattern says little to people: what it asks for, by field; all others are names.
PATTERNS = {
    "metric": "Name a metric in small letters, digits and underscores, such as validation_loss or validation_f1.",
    "dataset": "This must be the id of a dataset, such as ds_01kb8r2v5k1e2w9d4c7h3q6zax: letters, digits, . _ - and @.",
    "from_checkpoint": "This must be the id of a checkpoint: ckpt_ and then letters and digits.",
    "from_weights": "This must be the id of uploaded weights: wts_ and then letters and digits.",
    "alias": "Use letters, digits and . _ - alone, a letter or digit first, at most 64 of them; no plain number, which "
    "means a version.",
    "delimiter": 'Give one character that is no letter, digit, quote or sign, such as "," or ";".',
}
A_NAME = "Use letters, digits and . _ - alone, a letter or digit first, at most 64 of them, with no spaces."
ENCODED = "This must be a list of numbers in brackets, or an encoded array as an object in braces."
BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
PLAIN = {
    "int_type": "This must be a whole number, without quotes or a decimal point.",
    "int_from_float": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "float_type": "This must be a number, without quotes.",
    "float_parsing": "This must be a number.",
    "string_type": "This must be a text in quotes.",
    "bool_type": "This must be true or false, without quotes.",
    "bool_parsing": "This must be true or false.",
    "finite_number": "This must be a finite number, not NaN or Infinity.",
}

Forms = Mapping[str, str]  # the name of each type that a field can hold -> how it is written as an object


def sentence(error: Mapping[str, Any], path: Sequence[str | int], forms: Forms) -> str:
    """For one error of pydantic's, at a path of the document; `forms` are those of the field that is wrong."""
    kind, context = error["type"], error.get("ctx", {})
    field = str(path[-1])[:80] if path else ""
    holder = _holder(path)
    match kind:
        case "union_tag_invalid" | "union_tag_not_found":
            said = _type(error)
        case "missing":
            said = f'The field "{field}" is required.'
        case "extra_forbidden":
            said = f'There is no field "{field}" here.'
        case "too_short" | "too_long" | "string_too_short" | "string_too_long":
            said = _length(kind, context)
        case "dict_type" | "model_type" | "model_attributes_type":
            said = ENCODED if error["loc"][-1:] == ("<encoded>",) else _object(error["input"], holder, forms)
        case "tuple_type" | "list_type":
            said = "This must be a list in brackets" + _such_as(_list(error["input"], holder, forms))
        case "float_type" if error["loc"][-1:] == ("<number>",):
            example = _example(error["input"], holder, forms)
            said = f"This must be a number, or a schedule as an object{_such_as(example)}"
        case "int_type" | "literal_error" if error["loc"][-1:] in (("<one>",), ("<word>",)):
            said = _window(kind)
        case "literal_error" | "enum":
            said = f"This must be {context['expected'].replace(chr(39), chr(34))}."
        case "string_pattern_mismatch":
            said = PATTERNS.get(holder, A_NAME)
        case _ if kind in BOUNDS:
            words, name = BOUNDS[kind]
            said = f"This must be {words} {number(context[name])}."
        case _:
            said = PLAIN.get(kind) or error["msg"].removeprefix("Value error, ").removesuffix(".") + "."
    return said


def number(value: float) -> str:
    """As people write it: 1e30, 4096, 0.5."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return format(value, "g").replace("e+", "e")


def _holder(path: Sequence[str | int]) -> str:
    """The field that holds what is wrong. The parameters of a request are no layer's."""
    holder = next((part for part in reversed(path) if isinstance(part, str)), "")
    return "" if holder == "parameters" and "layers" not in path else holder


def _type(error: Mapping[str, Any]) -> str:
    field = str(error["ctx"]["discriminator"]).strip("'")
    if error["type"] == "union_tag_not_found":
        return f'Say which one is meant with a field "{field}".'
    known = [name.strip().strip("'") for name in str(error["ctx"]["expected_tags"]).split(",")]
    given = error["input"]
    if not isinstance(given, dict) or not isinstance(given.get(field), str):
        return f"This must be the name of a type; known are {', '.join(known)}."
    tag = str(error["ctx"]["tag"])
    near = difflib.get_close_matches(tag, known, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f'There is no type "{tag[:80]}" here; known are {", ".join(known)}.{hint}'


def _length(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "string_too_short" and context["min_length"] == 1:
        return "This must not be empty."
    which = "least" if kind.endswith("short") else "most"
    limit = context["min_length" if which == "least" else "max_length"]
    what = "character" if kind.startswith("string") else "entry"
    many = "characters" if kind.startswith("string") else "entries"
    return f"This must have at {which} {limit} {what if limit == 1 else many}."


def _object(given: object, holder: str, forms: Forms) -> str:
    said = "This must be an object in braces" + _such_as(_example(given, holder, forms))
    if isinstance(given, str) and forms and given not in forms:
        said += f" Known types are {', '.join(forms)}."
    return said


def _list(given: object, holder: str, forms: Forms) -> str | None:
    example = _example(given, holder, forms)
    return LISTS.get(holder) or (f"[{example}]" if example else None)


def _example(given: object, holder: str, forms: Forms) -> str | None:
    """How what was given is written as an object, if it is the name of a type, or nearly; else any one."""
    if isinstance(given, str):
        near = difflib.get_close_matches(given[:80], forms, n=1)
        if near:
            return forms[near[0]]
    return EXAMPLES.get(holder)


def _such_as(example: str | None) -> str:
    return f", such as {example}." if example else "."


def _window(kind: str) -> str:
    word = '"valid", "same", ' if kind == "literal_error" else ""
    return f"This must be {word}a whole number, or in two dimensions one for each axis, in brackets."


def form(tag: str, discriminator: str, required: Mapping[str, Sequence[Any] | None]) -> str:
    """How a type is written as an object: its name, and the fields it cannot do without, as an example has them."""
    rest = [f'"{name}": {json.dumps(examples[0]) if examples else "..."}' for name, examples in required.items()]
    return "{" + ", ".join([f'"{discriminator}": "{tag}"', *rest]) + "}"
