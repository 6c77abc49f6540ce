"""Inference by the Open Inference Protocol v2. The routes are plain, as that of predictions, and for its reason."""

import zlib
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from core.predictor import Predictor
from core.spec import SpecError
from service import bodies, tensors
from service.answers import JSON
from service.arrays import BatchTooLarge, InputsRefused
from service.bodies import BodyTooLarge, BodyTooSlow, WrongContentType
from service.dependencies import BadHeader, opened, tenant
from service.inference_answers import Rows, encode, wanted
from service.inference_metadata import named_model
from service.inference_schemas import INPUT, OUTPUT, InferRequest, InferResponse, OutputParameters
from service.lifespan import Services
from service.limits import TooMuchWork
from service.openapi import document_body, fails
from service.predictions import SLOW_BODY, PlainRoute
from service.shortcut import Asked, Fields, Said, Short
from service.strict_json import MalformedJson, RefusedJson
from service.tensors import Array
from store.errors import NotFound

BYTES = "application/octet-stream"
INFER = "/v2/models/{model_name}/infer"
INFER_WITH_VERSION = "/v2/models/{model_name}/versions/{model_version}/infer"
HEADER = "Inference-Header-Content-Length"
FEW_ROWS = 256  # the answer for more of them is written in a thread
router = APIRouter(tags=["inference"], route_class=PlainRoute)


def _in_path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": description}


_NAME = _in_path("model_name", "A model's name, or its id.")
_VERSION = _in_path("model_version", "A number, or an alias such as `production`.")
_LENGTH = {
    "name": HEADER,
    "in": "header",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Bytes of JSON before the first tensor in binary; without it the whole body is JSON. With 0 the "
    "body is rows of the model's only input in the datatype of its metadata, and the answer is in binary.",
}
_BODY = document_body(
    InferRequest,
    {
        "rows": {"inputs": [{"name": INPUT, "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]},
        "classes": {
            "id": "42",
            "inputs": [{"name": INPUT, "shape": [1, 4], "datatype": "FP32", "data": [[5.1, 3.5, 1.4, 0.2]]}],
            "outputs": [{"name": OUTPUT, "parameters": {"classification": 2}}],
        },
    },
)
_BODY["requestBody"]["content"][BYTES] = {
    "schema": {"type": "string", "format": "binary"},
    "examples": {
        "raw": {"summary": "One row of four FP32 after Inference-Header-Content-Length: 0", "value": "0" * 16}
    },
}
_INFER: dict[str, Any] = {
    "response_model": InferResponse,
    "responses": {
        200: {
            "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}},
            "headers": {HEADER: {"schema": {"type": "integer"}, "description": "Bytes of JSON before the tensor."}},
        },
        **fails(
            BodyTooLarge, BodyTooSlow, WrongContentType, MalformedJson, RefusedJson, SpecError, BadHeader,
            InputsRefused, BatchTooLarge, TooMuchWork, NotFound,
        ),
    },
}  # fmt: skip


@router.post(
    INFER,
    summary="Infer",
    openapi_extra={"parameters": [_NAME, _LENGTH], **_BODY},
    **_INFER,
)
async def infer(request: Request) -> Response:
    """Predict with the newest version of a name. Raw values: the model carries its preprocessing. The Content-Type does
    not matter; the body may come as gzip or deflate (Content-Encoding)."""
    return await _infer(request, None)


@router.post(
    INFER_WITH_VERSION,
    summary="Infer with a version",
    openapi_extra={"parameters": [_NAME, _VERSION, _LENGTH], **_BODY},
    **_INFER,
)
async def infer_with_version(request: Request) -> Response:
    """Predict with one version of a name, by its number or an alias. Otherwise the same."""
    return await _infer(request, request.path_params["model_version"])


async def _infer(request: Request, version: str | None) -> Response:
    services = opened(request)
    owner = tenant(request)
    named = await named_model(services, owner, request.path_params["model_name"], version)
    predictor = await services.predictors.get(owner, named.id)
    settings = services.settings
    body = await bodies.read(request, settings)
    if "content-encoding" in request.headers:
        body = await services.compute(_unpacked, body, request.headers["content-encoding"], settings.max_body_bytes)
    json_bytes = _json_bytes(request.headers.get(HEADER), len(body))
    read = partial(_read, predictor, body, json_bytes, settings.max_predict_rows)
    long = (len(body) if json_bytes is None else json_bytes) > SLOW_BODY
    asked, form, rows = await services.compute(read) if long else read()
    outputs = await _forward(services, predictor, rows, request)
    if len(outputs) <= FEW_ROWS:
        return _response(*encode(named, asked, form, predictor, outputs))
    return _response(*await services.compute(encode, named, asked, form, predictor, outputs))


def _read_at_once(services: Services, owner: str, groups: tuple[str, ...], fields: Fields, body: bytes) -> Asked | None:
    """A few rows."""
    name, *version = groups
    named = services.model_names.remembered(owner, name, version[0] if version else None)
    predictor = named and services.predictors.ready(owner, named.id)
    if named is None or predictor is None:
        return None
    declared = fields.get(_HEADER)
    json_bytes = None if declared is None else _json_bytes(declared.decode("latin-1"), len(body))
    if (len(body) if json_bytes is None else json_bytes) > SLOW_BODY:
        return None
    asked, form, rows = _read(predictor, body, json_bytes, services.settings.max_predict_rows)
    if rows.mask is not None or len(rows.inputs) > FEW_ROWS:
        return None
    return Asked(predictor, rows.inputs, (named, asked, form))


def _say_at_once(asked: list[Asked], outputs: Array) -> list[Said] | None:
    if not np.isfinite(outputs).all():
        return None
    said, start = [], 0
    for one in asked:
        named, request, form = one.more
        stop = start + len(one.inputs)
        content, head = encode(named, request, form, one.predictor, outputs[start:stop])
        if head is None:
            said.append(Said(content, [(b"content-type", JSON.encode())]))
        else:
            said.append(Said(content, [(_HEADER, b"%d" % head), (b"content-type", BYTES.encode())]))
        start = stop
    return said


_HEADER = HEADER.lower().encode()
SHORT = tuple(Short(route, _read_at_once, _say_at_once) for route in (INFER, INFER_WITH_VERSION))


def _response(content: bytes, head: int | None) -> Response:
    if head is None:
        return Response(content, media_type=JSON)
    return Response(content, headers={HEADER: str(head)}, media_type=BYTES)


def _read(
    predictor: Predictor, body: bytes, json_bytes: int | None, max_rows: int
) -> tuple[InferRequest, OutputParameters, Rows]:
    if json_bytes == 0 and not predictor.network.masked:
        dtype = np.dtype(predictor.schema.input_dtype)
        request, found = tensors.raw(body, dtype, predictor.input_shape, max_rows)
    else:
        request, found = tensors.parse(body, len(body) if json_bytes is None else json_bytes, max_rows)
    return request, wanted(request, predictor), Rows.of(found, predictor)


async def _forward(services: Services, predictor: Predictor, rows: Rows, request: Request) -> Array:
    """The outputs (n, k), all finite; raises InputsRefused for rows that the network cannot take."""
    try:
        outputs = await services.forwards.run(predictor, rows.inputs, rows.mask, request.is_disconnected)
    except SpecError as error:
        row = error.errors[0].pointer.rpartition("/")[2]
        raise InputsRefused(rows.pointer, f"Row {row}: {error.errors[0].detail}") from None
    _check_finite(outputs, rows)
    return outputs


def _check_finite(outputs: Array, rows: Rows) -> None:
    if not (finite := np.isfinite(outputs)).all():
        first = int(np.argwhere(~finite)[0][0])
        detail = f"The numbers of row {first} are so large that the network's outputs are no longer finite."
        raise InputsRefused(rows.pointer, detail)


def _json_bytes(declared: str | None, length: int) -> int | None:
    """How much of the body is JSON; None where nobody says that something else is in it."""
    if declared is None:
        return None
    if not (declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) <= length):
        detail = f"It must be the length of the JSON in bytes, at most that of the body, which is {length}."
        raise BadHeader(HEADER, detail)
    return int(declared)


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding, at most `limit` bytes of it."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise WrongContentType(encoding, "the body as it is, or in one Content-Encoding, gzip or deflate")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)  # it tells gzip and zlib apart by itself
    try:
        unpacked = unpacking.decompress(body, limit + 1)
    except zlib.error:
        raise MalformedJson(f"The body is not {encoding}, as its Content-Encoding says.") from None
    if len(unpacked) > limit:
        raise BodyTooLarge("NUDGE_MAX_BODY_BYTES", limit)
    if not unpacking.eof or unpacking.unused_data:
        raise MalformedJson(f"The body is not one whole {encoding} stream.")
    return unpacked
