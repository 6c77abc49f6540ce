"""A training spec, said briefly: what the client lets you leave out before it is sent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from client.schemas import Dataset, Weights

Spec = Mapping[str, Any] | str | Path
"""A training spec as the API wants it, or the path of a JSON file that holds one."""


def load(spec: Spec | None) -> dict[str, Any]:
    """The spec as a dictionary of its own; raises ValueError for a file that holds none."""
    if spec is None:
        return {}
    if isinstance(spec, Mapping):
        return dict(spec)
    try:
        loaded = json.loads(Path(spec).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{spec} is no text in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{spec} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    if not isinstance(loaded, dict):
        raise ValueError(f"{spec} holds no training spec: it must be one JSON object.")
    return loaded


def complete(spec: Spec | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with `fields` over it, and every short form written out:

    a Dataset for its id, and Weights as `from_weights` for theirs; `validation=0.2` for `{"fraction": 0.2}`; a dataset
    as `validation`; a list of layers as `network`; a type's name alone for `{"type": name}`.
    """
    body = load(spec) | dict(fields)
    for part in ("dataset", "from_weights"):
        if part in body:
            body[part] = _id(body[part])
    validation = body.get("validation")
    if isinstance(validation, Dataset | str):
        body["validation"] = {"dataset": _id(validation)}
    elif isinstance(validation, float | int) and not isinstance(validation, bool):
        body["validation"] = {"fraction": validation}
    network = body.get("network")
    if isinstance(network, list | tuple):
        network = {"layers": network}
    if isinstance(network, Mapping) and isinstance(network.get("layers"), list | tuple):
        body["network"] = {**network, "layers": [_typed(layer) for layer in network["layers"]]}
    for part in ("loss", "optimizer"):
        if part in body:
            body[part] = _typed(body[part])
    return body


def override(body: dict[str, Any], setting: str) -> None:
    """Put one `key=value` over a spec: `epochs=5`, `optimizer.learning_rate=0.5`, `network.layers.1.units=32`.

    The value is read as JSON where it is JSON, else as text. Raises ValueError for a place that cannot be.
    """
    path, equals, text = setting.partition("=")
    *way, last = path.split(".")
    if not equals or not all((*way, last)):
        raise ValueError(f"{setting!r} is no setting; write key=value, such as epochs=5.")
    place: Any = body
    try:
        for name in way:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = _value(text)
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{path!r} names no place in the spec.") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _id(uploaded: Any) -> Any:
    return uploaded.id if isinstance(uploaded, Dataset | Weights) else uploaded


def _typed(part: Any) -> Any:
    return {"type": part} if isinstance(part, str) else part
