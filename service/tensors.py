"""Tensors of the Open Inference Protocol: from the body of a request straight into NumPy, and back.

The body is JSON, behind which tensors may stand in binary. Numbers in JSON go the quick way: they are cut out of the
text and parsed by themselves, and what is left is short enough to be read strictly. Whatever looks odd goes the strict
way, which is slow and names the place.
"""

import math
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from core.spec import SpecError, findings, pointer
from service import strict_json
from service.arrays import BatchTooLarge, InputsRefused
from service.inference_schemas import INPUT, InferRequest, InputParameters, Numeric, RequestInput, RequestParameters

Array = NDArray[Any]
DTYPES: dict[Numeric, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<f4"),  # of which it is the upper half, and which NumPy has in its place
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES: dict[np.dtype[Any], Numeric] = {dtype: name for name, dtype in DTYPES.items() if name != "BF16"}
# How values stand in binary, where that is not as NumPy has them.
STORED: dict[str, np.dtype[Any]] = {"BOOL": np.dtype("<u1"), "BF16": np.dtype("<u2")}
_KEY = b'"data"'
_COLON = re.compile(rb"\s*:\s*\[")
_CUT = secrets.token_hex(8)  # a mark that no request can hold by chance or by guess
_REMEMBERED_BYTES = 1024  # of JSON
_MOST_LISTS = 2  # a request has no more tensors


@dataclass(frozen=True)
class Tensor:
    """An input as it came, of the shape it says; `pointer` is its place in the request."""

    name: str
    values: Array
    pointer: str


def parse(body: bytes, json_bytes: int, max_rows: int) -> tuple[InferRequest, list[Tensor]]:
    """The request whose JSON takes `json_bytes` of the body, and its tensors.

    Raises:
        MalformedJson, RefusedJson, SpecError, InputsRefused, BatchTooLarge.
    """
    if json_bytes < len(body) and json_bytes <= _REMEMBERED_BYTES:
        request = _remembered(body[:json_bytes])
        if all(given.data is None for given in request.inputs):
            return request, _tensors(request, [None] * len(request.inputs), body, json_bytes, max_rows)
    return _quickly(body, json_bytes, max_rows) or _strictly(body, json_bytes, max_rows)


@lru_cache(256)
def _remembered(text: bytes) -> InferRequest:
    """The JSON of a request whose tensors are in binary: a client sends the same again and again."""
    return _request(strict_json.loads(text))


def _quickly(body: bytes, json_bytes: int, max_rows: int) -> tuple[InferRequest, list[Tensor]] | None:
    """The request, if it is right beyond doubt."""
    text, lists = _cut(body[:json_bytes])
    try:
        request = _request(strict_json.loads(text))
        found: list[Array | None] = []
        for given in request.inputs:
            values = None
            if given.data is not None:
                mark, place = given.data
                if mark != _CUT:
                    return None
                # NumPy is twice as quick where it need not find out what the numbers are.
                dtype = np.float64 if DTYPES[given.datatype].kind == "f" else None
                values = np.asarray(orjson.loads(lists[place]), dtype)
                if not _plain(lists[place], values, given.datatype):
                    return None
            found.append(values)
        return request, _tensors(request, found, body, json_bytes, max_rows)
    except (strict_json.MalformedJson, strict_json.RefusedJson, InputsRefused, ValueError, TypeError, IndexError):
        return None


def _cut(text: bytes) -> tuple[bytes, list[bytes]]:
    """JSON in which [mark, 0], [mark, 1], ... stand for the lists of numbers under "data", and these lists."""
    parts: list[bytes] = []
    lists: list[bytes] = []
    done = 0
    while len(lists) < _MOST_LISTS and (key := text.find(_KEY, done)) >= 0:
        opening = _COLON.match(text, key + len(_KEY))
        if opening is None:
            break
        start = opening.end() - 1
        # Numbers hold neither quotes nor braces, so the list ends before the next one.
        stop = text.find(b'"', start)
        stop = len(text) if stop < 0 else stop
        brace = text.find(b"}", start, stop)
        end = text.rfind(b"]", start, stop if brace < 0 else brace) + 1
        if end <= start:
            break
        parts += [text[done:start], b'["%b",%d]' % (_CUT.encode(), len(lists))]
        lists.append(text[start:end])
        done = end
    return b"".join([*parts, text[done:]]), lists


def _plain(text: bytes, values: Array, datatype: str) -> bool:
    """Whether NumPy read this list as JSON means it. The words true, false and null have an l or a u."""
    if datatype == "BOOL":
        return values.dtype.kind in "bi"
    if b"u" in text or b"l" in text:
        return False
    # Beyond this limit an integer is refused and a float is not; the floats no longer tell which it was.
    kind = values.dtype.kind
    return kind == "i" or (kind == "f" and bool((np.abs(values) < strict_json.INTEGER_LIMIT).all()))


def _strictly(body: bytes, json_bytes: int, max_rows: int) -> tuple[InferRequest, list[Tensor]]:
    request = _request(strict_json.loads(body[:json_bytes]))
    found = [
        None if given.data is None else _numbers(given.data, given.datatype, ("inputs", index, "data"))
        for index, given in enumerate(request.inputs)
    ]
    return request, _tensors(request, found, body, json_bytes, max_rows)


def _request(value: Any) -> InferRequest:
    try:
        return InferRequest.model_validate(value)
    except ValidationError as error:
        raise SpecError(findings(error)) from None


def _numbers(values: list[Any], datatype: str, place: tuple[str | int, ...]) -> Array:
    _only((bool, int) if datatype == "BOOL" else (int, float), values, place)
    try:
        return np.asarray(values)
    except ValueError:
        detail = "The lists are not all of one length: nest them as the shape says, or send all values in one list."
        raise InputsRefused(pointer(place), detail) from None


def _only(kinds: tuple[type, ...], values: list[Any], place: tuple[str | int, ...]) -> None:
    for index, value in enumerate(values):
        if type(value) is list:
            _only(kinds, value, (*place, index))
        elif type(value) not in kinds:
            wanted = "true, false, 1 or 0, as BOOL asks for" if bool in kinds else "a number"
            raise InputsRefused(pointer((*place, index)), f"This is not {wanted}.")


def _tensors(request: InferRequest, found: list[Array | None], body: bytes, start: int, max_rows: int) -> list[Tensor]:
    """The tensors of a request; `found` are those that JSON held, the others stand in the body from `start` on."""
    tensors = []
    for index, (given, values) in enumerate(zip(request.inputs, found, strict=True)):
        at = f"/inputs/{index}"
        known = given.parameters
        if known is not None and any(name.startswith("shared_memory") for name in known.names()):
            raise InputsRefused(f"{at}/parameters", "Shared memory is not supported: send the tensor in the request.")
        if given.shape[0] > max_rows:
            raise BatchTooLarge(max_rows)
        if 0 in given.shape:
            raise InputsRefused(f"{at}/shape", "There are no rows; send at least one.")
        size = None if known is None else known.binary_data_size
        if values is not None and size is None:
            tensor = _converted(values, given, at)
        elif values is None and size is not None:
            tensor = _viewed(body, start, size, given, at)
            start += size
        else:
            detail = "Send either `data`, or the tensor in binary with the parameter `binary_data_size`."
            raise InputsRefused(at, detail)
        if tensor.dtype.kind == "f" and not (finite := np.isfinite(tensor)).all():
            row = int(np.argwhere(~finite)[0][0])
            raise InputsRefused(at, f"Row {row} holds a value that is not a finite {given.datatype}.")
        tensors.append(Tensor(given.name, tensor, at))
    if start != len(body):
        detail = f"{len(body) - start} bytes are left behind the JSON and the tensors that say their binary_data_size."
        raise InputsRefused("/inputs", detail)
    return tensors


def _converted(values: Array, given: RequestInput, at: str) -> Array:
    """Numbers of JSON in the datatype and the shape that the request says."""
    shape, count = tuple(given.shape), math.prod(given.shape)
    if values.shape not in (shape, (count,)):
        detail = (
            f"The shape asks for {count} values, in one list or nested; these are of the shape {list(values.shape)}."
        )
        raise InputsRefused(f"{at}/data", detail)
    dtype = DTYPES[given.datatype]
    if dtype.kind in "iub":
        least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if not ((values >= least) & (values <= most) & (values == np.floor(values))).all():
            detail = f"A value is not a whole number from {least} to {most}, as {given.datatype} asks for."
            raise InputsRefused(f"{at}/data", detail)
    with np.errstate(over="ignore"):
        return values.astype(dtype).reshape(shape)


def _viewed(body: bytes, start: int, size: int, given: RequestInput, at: str) -> Array:
    """A tensor in binary."""
    count = math.prod(given.shape)
    dtype = STORED.get(given.datatype, DTYPES[given.datatype])
    if size != count * dtype.itemsize:
        detail = f"The shape asks for {count * dtype.itemsize} bytes of {given.datatype}, not {size}."
        raise InputsRefused(f"{at}/parameters/binary_data_size", detail)
    if start + size > len(body):
        detail = (
            f"This tensor should end {start + size - len(body)} bytes behind the end of the body: check the "
            "Inference-Header-Content-Length, which is the length of the JSON, and the sizes."
        )
        raise InputsRefused(at, detail)
    part = body[start : start + size]  # a copy is aligned, which all that follows is quicker with
    tensor: Array = np.frombuffer(part, dtype).reshape(given.shape)
    if given.datatype == "BF16":
        tensor = (tensor.astype("<u4") << 16).view("<f4")
    return tensor != 0 if given.datatype == "BOOL" else tensor


def raw(
    body: bytes, dtype: np.dtype[Any], input_shape: tuple[int, ...], max_rows: int
) -> tuple[InferRequest, list[Tensor]]:
    """A request without JSON: rows of the model's only input in binary; the outputs are wanted in binary too.

    Raises:
        InputsRefused, BatchTooLarge.
    """
    datatype = DATATYPES[dtype]
    row_bytes = dtype.itemsize * math.prod(input_shape)
    rows, rest = divmod(len(body), row_bytes)
    if rest or not rows:
        detail = f"Without JSON the body is rows of {row_bytes} bytes each ({datatype}); {len(body)} are not that."
        raise InputsRefused("", detail)
    size = InputParameters(binary_data_size=len(body))
    given = RequestInput(name=INPUT, datatype=datatype, shape=[rows, *input_shape], parameters=size)
    request = InferRequest(inputs=[given], parameters=RequestParameters(binary_data_output=True))
    return request, _tensors(request, [None], body, 0, max_rows)
