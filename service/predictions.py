"""Predictions: raw inputs in, outputs and classes out. The route is plain, and Express leads past the framework to it,
because both cost more than the network."""

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.layers.layer import Array
from core.predictor import Prediction, Predictor
from core.schema import ClassTarget, JsonScalar
from core.spec import SpecError
from service import bodies, picture_forms, pictures, stored_rows
from service.answers import JSON
from service.arrays import BatchTooLarge, InputsRefused
from service.dependencies import MODEL_NAMED, opened, resolved_model, tenant
from service.lifespan import Services
from service.limits import TooMuchWork
from service.openapi import JSON_BODY, reference, refuses
from service.parameters import no_parameters
from service.prediction_requests import Batch, PredictRequest, PredictRowsRequest, quickly, strictly
from service.shortcut import Asked, Fields, Said, Short
from service.uploads import MalformedForm
from store.errors import NotFound

PREDICT = "/v1/models/{model_id}/predict"
FORM = "multipart/form-data"
QUICK_BODY = (
    1024 * 1024
)  # bytes of JSON that are parsed in the event loop, in about three milliseconds, if all is plain
SLOW_BODY = 64 * 1024  # the same when it is not
PROBABILITY = (
    "What the model gives the class: a probability after `cross_entropy` and `binary_cross_entropy`, or where the "
    "network ends with softmax; else the output as it is, of any size and sign, and not normalised."
)
FEW = 256  # classes, of all rows together, that are named in the event loop


class PlainRoute(APIRoute):
    """A route whose endpoint takes the request itself: documented like the others, but nothing is solved for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, as it is."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


router = APIRouter(tags=["models"], route_class=PlainRoute)


class ClassChance(BaseModel):
    """One class and what the model gives it."""

    class_: JsonScalar = Field(alias="class")
    probability: float = Field(description=PROBABILITY)


class PredictionView(ClassChance):
    """The likeliest class of one row, and the best few: those whose outputs are largest."""

    top: list[ClassChance]


class Predictions(BaseModel):
    """The model's answer, row by row."""

    outputs: list[list[float | None]] = Field(description="Probabilities after cross-entropy, else the last layer.")
    predictions: list[PredictionView] | None = Field(None, description="For models of classes.")


MODEL_PATH = {
    "name": "model_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": MODEL_NAMED,
}
_BODY = {
    "required": True,
    "content": {
        JSON: {
            "schema": {"anyOf": [reference(PredictRequest), reference(PredictRowsRequest)]},
            "examples": {
                "rows": {"value": {"inputs": [[5.1, 3.5, 1.4, 0.2]], "top": 2}},
                "encoded": {
                    "value": {"inputs": {"data": "MzOjQAAAYECamZk/zcxMPg==", "dtype": "float32", "shape": [1, 4]}}
                },
                "dataset": {"value": {"dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd", "offset": 0, "limit": 100}},
            },
        },
        FORM: {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "string",
                        "contentMediaType": "application/octet-stream",
                        "description": "A PNG or JPEG; several parts of this name make a batch. Its pixels are taken "
                        "as 0 to 255, grey or RGB as the model's inputs are shaped.",
                    },
                    **picture_forms.PictureFields.model_json_schema()["properties"],
                },
            }
        },
    },
}


@router.post(
    PREDICT,
    summary="Predict",
    response_model=Predictions,
    responses=refuses(
        *JSON_BODY,
        MalformedForm,
        SpecError,
        InputsRefused,
        BatchTooLarge,
        TooMuchWork,
        pictures.TooManyPixels,
        NotFound,
    ),
    openapi_extra={"parameters": [MODEL_PATH], "requestBody": _BODY},
)
async def predict(request: Request) -> Response:
    """Send raw values, as they were uploaded: the model carries its preprocessing. Or name rows of a dataset, or send
    pictures."""
    no_parameters(request)
    services, owner = opened(request), tenant(request)
    predictor = await services.predictors.get(owner, await resolved_model(request, request.path_params["model_id"]))
    read = _read_form if bodies.content_type(request) == FORM else _read_json
    batch = await read(request, services, owner, predictor)
    try:
        outputs = await services.forwards.run(predictor, batch.inputs, batch.mask, request.is_disconnected)
    except SpecError as error:
        at, detail = error.errors[0]
        raise batch.refusal(int(at.rpartition("/")[2]), detail) from None
    if len(outputs) * batch.top <= FEW:
        content = _answer(predictor, outputs, batch)
    else:
        content = await services.compute(_answer, predictor, outputs, batch)
    return Response(content, media_type=JSON)


def _read_at_once(services: Services, owner: str, groups: tuple[str, ...], fields: Fields, body: bytes) -> Asked | None:
    """Plain rows."""
    (model_id,) = groups
    predictor = services.predictors.ready(owner, model_id)
    if predictor is None or fields.get(b"content-type") != _JSON:
        return None
    batch = quickly(body, predictor.input_shape, services.settings.max_predict_rows)
    if batch is None or len(batch.inputs) * batch.top > FEW:
        return None
    return Asked(predictor, batch.inputs, batch, kind=batch.top)


def _say_at_once(asked: list[Asked], outputs: Array) -> list[Said] | None:
    if not _finite(outputs):
        return None
    said, start = [], 0
    labels = _labels(asked[0].predictor, outputs, asked[0].more.top)
    for one in asked:
        stop = start + len(one.inputs)
        said.append(Said(_body(outputs[start:stop], labels and labels[start:stop]), [(b"content-type", _JSON)]))
        start = stop
    return said


_JSON = JSON.encode()
SHORT = Short(PREDICT, _read_at_once, _say_at_once)


async def _read_json(request: Request, services: Services, owner: str, predictor: Predictor) -> Batch:
    body = await bodies.read_json(request, services.settings, f"{JSON} or {FORM}")
    max_rows = services.settings.max_predict_rows
    if len(body) <= QUICK_BODY and (quick := quickly(body, predictor.input_shape, max_rows)):
        return quick
    if len(body) <= SLOW_BODY:
        batch = strictly(body, predictor, max_rows)
    else:
        batch = await services.compute(_parsed, body, predictor, max_rows)
    if isinstance(batch, PredictRowsRequest):
        return await services.call(stored_rows.read, services.datasets, owner, predictor, batch)
    return batch


def _parsed(body: bytes, predictor: Predictor, max_rows: int) -> Batch | PredictRowsRequest:
    return quickly(body, predictor.input_shape, max_rows) or strictly(body, predictor, max_rows)


async def _read_form(request: Request, services: Services, owner: str, predictor: Predictor) -> Batch:
    form = await picture_forms.receive(request, services.settings)
    try:
        fields, pixels = form.fields, services.settings.max_predict_pixels
        inputs = await services.compute(pictures.read, form.files, predictor.input_shape, fields.resize, pixels)
    finally:
        form.close()
    return Batch(inputs, None, fields.top, "file")


def _answer(predictor: Predictor, outputs: Array, batch: Batch) -> bytes:
    """The body of the answer; raises InputsRefused."""
    if not _finite(outputs):
        row = int(np.argmin(np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1)))
        detail = "The numbers of this row are so large that the network's outputs are no longer finite."
        raise batch.refusal(row, detail)
    return _body(outputs, _labels(predictor, outputs, batch.top))


def _finite(outputs: Array) -> bool:
    return bool(np.logical_and.reduce(np.isfinite(outputs), axis=None))


def _labels(predictor: Predictor, outputs: Array, top: int) -> list[Prediction] | None:
    return predictor.label(outputs, top) if isinstance(predictor.schema.target, ClassTarget) else None


def _body(outputs: Array, labels: list[Prediction] | None) -> bytes:
    return orjson.dumps({"outputs": outputs, "predictions": labels}, option=orjson.OPT_SERIALIZE_NUMPY)
