"""What a prediction is asked about: rows in the body with their mask, or rows of a dataset.

The quick way reads nothing but rows of numbers of the model's shape. Whatever looks odd goes the strict way, which is
slow and names the place.
"""

import math
import re
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Discriminator, Field, Tag, ValidationError

from core.compiled.library import Library, loaded
from core.predictor import Predictor
from core.spec import Finding, Spec, SpecError, findings
from service import strict_json
from service.arrays import BatchTooLarge, EncodedArray, Inputs, InputsRefused, decode, numbers, shaped

MAX_TOP = 1000
Top = Annotated[int, Field(ge=1, le=MAX_TOP, strict=True, description="How many classes to name for each row.")]
Place = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
# What stands around the rows, and whether a third bracket shows that a row is nested.
_HEAD = re.compile(rb'_{_(?:"top"_:_([1-9]\d{0,3})_,_)?"inputs"_:(?=_\[_\[_(\[?))'.replace(b"_", rb"[ \t\n\r]*"))
_TAIL = re.compile(rb'_(?:,_"top"_:_([1-9]\d{0,3})_)?}_'.replace(b"_", rb"[ \t\n\r]*"))
_LISTS = Discriminator(lambda value: "<rows>" if isinstance(value, list) else "<encoded>")


class PredictRequest(Spec):
    """Rows to predict: raw values as they were uploaded; the model carries its preprocessing."""

    inputs: Annotated[Annotated[list[Any], Tag("<rows>")] | Annotated[EncodedArray, Tag("<encoded>")], _LISTS] = Field(
        description="Rows as nested lists of numbers, each of the model's input shape or flat, or an encoded array.",
        examples=[[[5.1, 3.5, 1.4, 0.2]]],
    )
    mask: (
        Annotated[Annotated[list[list[Any]], Tag("<rows>")] | Annotated[EncodedArray, Tag("<encoded>")], _LISTS] | None
    ) = Field(
        None,
        description="For sequences, a list for each row, or an encoded array: 1 for a step that counts, 0 for padding.",
        examples=[[[1, 1, 1, 0]]],
    )
    top: Top = 1


class PredictRowsRequest(Spec):
    """Rows of a dataset to predict, with its masks."""

    dataset: str = Field(examples=["ds_01kb8r3v5y8t2n6m4q9w7x1zcd"])
    offset: Place = Field(0, description="The first row, counted from 0.")
    limit: Annotated[Place, Field(ge=1, description="How many rows at most.")] = 100
    top: Top = 1


class Batch(NamedTuple):
    """Rows (n, *input_shape), the steps (n, time) of them that count, and how many classes to name.

    `part`: the part of the request that they are. `first`: the number of the first one in its dataset, if they are of
    one.
    """

    inputs: Inputs
    mask: Inputs | None = None
    top: int = 1
    part: str = "inputs"
    first: int | None = None

    def refusal(self, row: int, detail: str) -> InputsRefused:
        """What is wrong with one of the rows, said of where the request names it."""
        if self.first is None:
            return InputsRefused(f"/{self.part}/{row}", detail)
        return InputsRefused(f"/{self.part}", f"Row {self.first + row}: {detail}")


def quickly(body: bytes, input_shape: tuple[int, ...], max_rows: int) -> Batch | None:
    """The rows of a plain body: {"inputs": [...], "top": n}, all of the model's shape or flat.

    Raises:
        BatchTooLarge.
    """
    head, library = _HEAD.match(body), _library()
    if head is None or library is None:
        return None
    shape = input_shape if head[2] else (math.prod(input_shape),)
    found = library.read_rows(body, head.end(), shape, max_rows + 1)
    tail = found and _TAIL.fullmatch(body, found[1])
    if found is None or tail is None or (head[1] and tail[1]):
        return None
    top = int(head[1] or tail[1] or 1)
    if top > MAX_TOP:
        return None
    rows = found[0]
    if len(rows) > max_rows:
        raise BatchTooLarge(max_rows)
    return Batch(rows.reshape(len(rows), *input_shape), None, top)


@cache
def _library() -> Library | None:
    """What reads rows, whose type does not matter."""
    return loaded("float64")


def strictly(body: bytes, predictor: Predictor, max_rows: int) -> Batch | PredictRowsRequest:
    """Any request.

    Raises:
        MalformedJson, RefusedJson, SpecError, InputsRefused, BatchTooLarge.
    """
    value = strict_json.loads(body)
    of_dataset = isinstance(value, dict) and "dataset" in value
    if of_dataset and "inputs" in value:
        raise SpecError([Finding("/dataset", "Send `inputs`, or name rows of a `dataset`: not both.")])
    rows = value.get("inputs") if isinstance(value, dict) else None
    if isinstance(rows, list):
        value = {**value, "inputs": []}  # what is left is short enough for pydantic
    try:
        request = (PredictRowsRequest if of_dataset else PredictRequest).model_validate(value)
    except ValidationError as error:
        raise SpecError(findings(error)) from None
    if isinstance(request, PredictRowsRequest):
        if request.limit > max_rows:
            raise BatchTooLarge(max_rows)
        return request
    if isinstance(request.inputs, EncodedArray):
        array = decode(request.inputs)
    else:
        assert isinstance(rows, list)
        if len(rows) > max_rows:
            raise BatchTooLarge(max_rows)
        array = numbers(rows, predictor.input_shape)
    if len(array) > max_rows:
        raise BatchTooLarge(max_rows)
    inputs = shaped(array, predictor.input_shape)
    return Batch(inputs, None if request.mask is None else _mask(request.mask, predictor, len(inputs)), request.top)


def _mask(mask: list[list[Any]] | EncodedArray, predictor: Predictor, rows: int) -> Inputs:
    steps = predictor.input_shape[0]
    if not predictor.network.masked:
        raise SpecError([Finding("/mask", "No layer of this model looks at a mask: leave it out.")])
    if isinstance(mask, EncodedArray):
        array = decode(mask, "/mask")
    else:
        for row, of_row in enumerate(mask):
            if len(of_row) != steps:
                detail = f"The mask of this row holds {len(of_row)} steps; the model's input has {steps}."
                raise InputsRefused(f"/mask/{row}", detail)
        for row, of_row in enumerate(mask):
            for step, value in enumerate(of_row):
                if type(value) is not int or value not in (0, 1):
                    raise InputsRefused(f"/mask/{row}/{step}", "A step counts, 1, or it does not, 0.")
        array = np.array(mask, np.uint8).reshape(len(mask), steps)
    if array.shape != (rows, steps):
        detail = f"The mask is of shape {list(array.shape)}; these rows take {[rows, steps]}."
        raise InputsRefused("/mask", detail)
    if not ((array == 0) | (array == 1)).all():
        raise InputsRefused("/mask", "A step counts, 1, or it does not, 0: the mask holds other numbers.")
    return array
