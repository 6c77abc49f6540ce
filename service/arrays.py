"""Rows of numbers in requests, as nested lists or as base64: into NumPy, or refused with their place."""

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.spec import Spec, pointer

Inputs = NDArray[Any]


class EncodedArray(Spec):
    """An array as base64 of its little-endian bytes in C order."""

    data: str = Field(description="Base64 of the bytes.", examples=["AAAAAA=="])
    dtype: Literal["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64"]
    shape: tuple[int, ...] = Field(min_length=1, max_length=9, examples=[[1, 28, 28]])


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


def _only_numbers(value: list[Any], place: tuple[str | int, ...]) -> None:
    for index, item in enumerate(value):
        if type(item) is list:
            _only_numbers(item, (*place, index))
        elif type(item) is not float and type(item) is not int:
            raise InputsRefused(pointer((*place, index)), "This is not a number; inputs are numbers only.")


def numbers(inputs: list[Any], input_shape: tuple[int, ...]) -> Inputs:
    """Nested lists as float64; raises InputsRefused."""
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


def decode(encoded: EncodedArray, at: str = "/inputs") -> Inputs:
    """The array, whose field is at the pointer `at`; raises InputsRefused."""
    dtype = np.dtype(encoded.dtype).newbyteorder("<")
    try:
        raw = base64.b64decode(encoded.data, validate=True)
    except (binascii.Error, ValueError):
        raise InputsRefused(f"{at}/data", "This is not base64.") from None
    if any(size < 0 for size in encoded.shape):
        raise InputsRefused(f"{at}/shape", "A shape has no negative sizes.")
    wanted = math.prod(encoded.shape) * dtype.itemsize
    if wanted != len(raw):
        detail = f"The shape asks for {wanted} bytes of {encoded.dtype}, but there are {len(raw)}."
        raise InputsRefused(f"{at}/data", detail)
    return np.frombuffer(raw, dtype).reshape(encoded.shape)


def shaped(array: Inputs, input_shape: tuple[int, ...]) -> Inputs:
    """Rows of the input shape, which may have come flat (n, *input_shape), all finite; raises InputsRefused."""
    if array.ndim == 0 or len(array) == 0:
        raise InputsRefused("/inputs", "There are no rows; send at least one.")
    if array.size == 0:
        raise InputsRefused(
            "/inputs", f"There are no numbers in the rows; the model takes {list(input_shape)} in each."
        )
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
    shapes = (input_shape, (math.prod(input_shape),))
    try:
        array = decode(value) if isinstance(value, EncodedArray) else numbers([value], input_shape)
        if isinstance(value, EncodedArray) and array.shape not in [(1, *shape) for shape in shapes]:
            array = array[None]
        given = array.shape[1:]
        if array.size == 0:
            raise InputsRefused("/inputs", "There are no numbers; send one row of them.")
        if given not in shapes:
            detail = f"The row has the shape {list(given)}; the model takes {list(input_shape)}."
            if given[1:] in shapes:
                rows = "a list of one row" if given[0] == 1 else f"a list of {given[0]} rows"
                detail = f"This is {rows}; `input` is one row alone, of the shape {list(input_shape)}."
            raise InputsRefused("/inputs", detail)
        return shaped(array, input_shape)
    except InputsRefused as error:
        at = error.pointer.removeprefix("/inputs")
        raise InputsRefused("/input" + at.removeprefix("/0"), error.detail) from None
