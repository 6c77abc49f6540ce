"""Inputs from a file or from the command line, as nested lists."""

import csv
import gzip
import json
import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
IDX_TYPES = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}


class Given(NamedTuple):
    """Inputs, and for sequences their mask: a list for each, 1 for a step that counts."""

    inputs: list[Any]
    mask: list[Any] | None = None


def read(source: str) -> Given:
    """The inputs in `source`: JSON itself (a list of inputs, or `{"inputs": [...]}`, maybe with a `"mask"`), or a file
    of JSON, of CSV (one input in a row of numbers, a header is passed over) or of IDX images, gzipped or not.

    Raises ValueError with a sentence for what is none of these.
    """
    if source.lstrip()[:1] in {"[", "{"}:
        return _json(source, "The input")
    path = Path(source)
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise ValueError(f"{source} is a damaged gzip file.") from error
    if data.startswith(b"\0\0"):
        return Given(_idx(data, source))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is neither JSON nor CSV nor IDX nor a picture (PNG, JPEG).") from error
    return _json(text, source) if text.lstrip()[:1] in {"[", "{"} else Given(_csv(text, source))


def picture_file(source: str) -> Path | None:
    """The path in `source`, if it is that of a PNG or JPEG file."""
    path = Path(source)
    if source.lstrip()[:1] in {"[", "{", "-"} or not path.is_file():
        return None
    with path.open("rb") as file:
        return path if file.read(8).startswith(PICTURES) else None


def read_mask(text: str) -> list[Any]:
    """The mask in JSON; raises ValueError with a sentence for none."""
    mask = _parsed(text, "The mask")
    if not isinstance(mask, list):
        raise ValueError("The mask is no list: write [1, 1, 0], 1 for each step that counts.")
    return mask


def _json(text: str, source: str) -> Given:
    value = _parsed(text, source)
    inputs, mask = (value.get("inputs"), value.get("mask")) if isinstance(value, dict) else (value, None)
    if not isinstance(inputs, list):
        raise ValueError(f'{source} holds no list of inputs: write [[...], ...] or {{"inputs": [[...], ...]}}.')
    if mask is not None and not isinstance(mask, list):
        raise ValueError(f'{source} holds a mask that is no list: write {{"inputs": [...], "mask": [[1, 1, 0], ...]}}.')
    return Given(inputs, mask)


def _parsed(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is no JSON: {error.msg}, line {error.lineno}, column {error.colno}.") from error


def _csv(text: str, source: str) -> list[Any]:
    rows: list[list[float]] = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        try:
            if row:
                rows.append([float(value) for value in row])
        except ValueError as error:
            if number > 1:
                raise ValueError(f"{source}, line {number}: {error}; every value must be a number.") from error
    return rows


def _idx(data: bytes, source: str) -> list[Any]:
    kind, dimensions = IDX_TYPES.get(data[2]), data[3]
    head = 4 + 4 * dimensions
    if kind is None or not dimensions or len(data) < head:
        raise ValueError(f"{source} is a damaged IDX file.")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    if len(data) - head != prod(shape) * struct.calcsize(kind):
        raise ValueError(f"{source} is a damaged IDX file: its head promises another length.")
    return nested(struct.unpack_from(f">{prod(shape)}{kind}", data, head), shape)


def nested(values: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    """Numbers in a row as lists in lists of this shape."""
    for size in reversed(shape[1:]):
        values = [list(values[start : start + size]) for start in range(0, len(values), size)]
    return list(values)
