"""Inputs of a prediction, from JSON straight into NumPy.

The quick way takes what the quickest parser made of the body, once a look at the bytes has shown that the parser cannot
have hidden anything: it keeps the last of two equal keys and lets huge integers and NUL pass. Whatever looks odd, and
whatever NumPy refuses, goes the strict way, which is slow and names the place.
"""

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, ValidationError

from core.spec import Spec, SpecError, findings, pointer
from service import strict_json

Inputs = NDArray[Any]
# The quick way is for bodies of which nothing else is left when all numbers, brackets and blanks are taken out.
_NUMBERS = b"0123456789+-.eE[], \t\r\n"
_PLAIN = frozenset({b'{"inputs":}', b'{"inputs":"top":}', b'{"top":"inputs":}'})
_MAX_TOP = 1000


class EncodedArray(Spec):
    """An array as base64 of its little-endian bytes in C order."""

    data: str = Field(description="Base64 of the bytes.", examples=["AAAAAA=="])
    dtype: Literal["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64"]
    shape: tuple[int, ...] = Field(min_length=1, max_length=9, examples=[[1, 28, 28]])


class PredictRequest(Spec):
    """Rows to predict: raw values as they were uploaded; the model carries its preprocessing."""

    inputs: Annotated[
        Annotated[list[Any], Tag("<rows>")] | Annotated[EncodedArray, Tag("<encoded>")],
        Discriminator(lambda value: "<rows>" if isinstance(value, list) else "<encoded>"),
    ] = Field(
        description="Rows as nested lists of numbers, each of the model's input shape or flat, or an encoded array.",
        examples=[[[5.1, 3.5, 1.4, 0.2]]],
    )
    top: int = Field(1, ge=1, le=_MAX_TOP, strict=True, description="How many classes to name for each row.")


@dataclass
class InputsRefused(Exception):
    """The inputs are not rows of the model's input shape; `pointer` says where."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass
class BatchTooLarge(Exception):
    """More rows than one prediction takes."""

    limit: int

    def __str__(self) -> str:
        return f"One prediction takes {self.limit} rows at most (NUDGE_MAX_PREDICT_ROWS); send the rows in several."


def parse(body: bytes, input_shape: tuple[int, ...], max_rows: int) -> tuple[Inputs, int]:
    """The rows (n, *input_shape) of a PredictRequest, and its `top`.

    Raises:
        MalformedJson, RefusedJson, SpecError, InputsRefused, BatchTooLarge.
    """
    array, top = _quickly(body) or _strictly(body, input_shape, max_rows)
    if len(array) > max_rows:
        raise BatchTooLarge(max_rows)
    return _shaped(array, input_shape), top


def _quickly(body: bytes) -> tuple[Inputs, int] | None:
    """The request, if it is plain beyond doubt: {"inputs": [numbers], "top": n}, all within the integers."""
    if body.translate(None, _NUMBERS) not in _PLAIN:
        return None
    try:
        value = orjson.loads(body)
        inputs, top = value.get("inputs"), value.get("top", 1)
        if type(inputs) is not list or not inputs or type(top) is not int or not 1 <= top <= _MAX_TOP:
            return None
        array = np.asarray(inputs, dtype=np.float64)
    except (ValueError, TypeError):
        return None
    # Beyond this an integer is refused and a float is not; NumPy's floats no longer tell which it was.
    return (array, top) if (np.abs(array) < strict_json.INTEGER_LIMIT).all() else None


def _strictly(body: bytes, input_shape: tuple[int, ...], max_rows: int) -> tuple[Inputs, int]:
    value = strict_json.loads(body)
    rows = value.get("inputs") if isinstance(value, dict) else None
    if isinstance(rows, list):
        value = {**value, "inputs": []}  # what is left is short enough for pydantic
    try:
        request = PredictRequest.model_validate(value)
    except ValidationError as error:
        raise SpecError(findings(error)) from None
    if isinstance(request.inputs, EncodedArray):
        return _decode(request.inputs), request.top
    assert isinstance(rows, list)
    if len(rows) > max_rows:
        raise BatchTooLarge(max_rows)
    return _numbers(rows, input_shape), request.top


def _only_numbers(value: list[Any], place: tuple[str | int, ...]) -> None:
    for index, item in enumerate(value):
        if type(item) is list:
            _only_numbers(item, (*place, index))
        elif type(item) is not float and type(item) is not int:
            raise InputsRefused(pointer((*place, index)), "This is not a number; inputs are numbers only.")


def _numbers(inputs: list[Any], input_shape: tuple[int, ...]) -> Inputs:
    _only_numbers(inputs, ("inputs",))
    try:
        return np.asarray(inputs, dtype=np.float64)
    except ValueError:
        _find_misfit(inputs, input_shape)
        raise InputsRefused("/inputs", "The rows are not all of one shape.") from None


def _find_misfit(inputs: list[Any], input_shape: tuple[int, ...]) -> None:
    """Name the first row that is not of the model's input shape, nested or flat; raises InputsRefused."""
    flat = math.prod(input_shape)
    for index, row in enumerate(inputs):
        if type(row) is list and len(row) == flat and not any(type(item) is list for item in row):
            continue
        _walk(row, input_shape, ("inputs", index))


def _walk(value: Any, shape: tuple[int, ...], place: tuple[str | int, ...]) -> None:
    if not shape:
        if type(value) is list:
            raise InputsRefused(pointer(place), "This is a list where the model takes a number.")
        return
    if type(value) is not list:
        raise InputsRefused(pointer(place), f"This is one number where the model takes a list of {shape[0]}.")
    if len(value) != shape[0]:
        detail = f"This list holds {len(value)} values; the model takes {shape[0]} here."
        raise InputsRefused(pointer(place), detail)
    for index, item in enumerate(value):
        _walk(item, shape[1:], (*place, index))


def _decode(encoded: EncodedArray) -> Inputs:
    dtype = np.dtype(encoded.dtype).newbyteorder("<")
    try:
        raw = base64.b64decode(encoded.data, validate=True)
    except (binascii.Error, ValueError):
        raise InputsRefused("/inputs/data", "This is not base64.") from None
    if any(size < 0 for size in encoded.shape):
        raise InputsRefused("/inputs/shape", "A shape has no negative sizes.")
    wanted = math.prod(encoded.shape) * dtype.itemsize
    if wanted != len(raw):
        detail = f"The shape asks for {wanted} bytes of {encoded.dtype}, but there are {len(raw)}."
        raise InputsRefused("/inputs/data", detail)
    return np.frombuffer(raw, dtype).reshape(encoded.shape)


def _shaped(array: Inputs, input_shape: tuple[int, ...]) -> Inputs:
    if array.ndim == 0 or len(array) == 0 or array.size == 0:
        raise InputsRefused("/inputs", "There are no rows; send at least one.")
    if array.shape[1:] != input_shape:
        if array.ndim != 2 or array.shape[1] != math.prod(input_shape):
            detail = (
                f"Each row has the shape {list(array.shape[1:])}; the model takes {list(input_shape)}. "
                "Inputs are a list of rows, even for one row."
            )
            raise InputsRefused("/inputs", detail)
        array = array.reshape(len(array), *input_shape)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise InputsRefused(f"/inputs/{row}", "The row holds a value that is not a finite number.")
    return array


def read_one(value: list[Any] | EncodedArray, input_shape: tuple[int, ...]) -> Inputs:
    """One row (1, *input_shape) of a request that calls it `input`; raises InputsRefused."""
    try:
        array = _decode(value) if isinstance(value, EncodedArray) else _numbers([value], input_shape)
        if isinstance(value, EncodedArray) and array.shape[:1] != (1,):
            array = array[None]
        return _shaped(array, input_shape)
    except InputsRefused as error:
        at = error.pointer.removeprefix("/inputs")
        raise InputsRefused("/input" + at.removeprefix("/0"), error.detail) from None
