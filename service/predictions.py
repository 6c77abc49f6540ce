"""Predictions: raw inputs in, outputs and classes out. The route is plain, because the framework's would cost more than
the network."""

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.predictor import Predictor
from core.schema import ClassTarget, JsonScalar
from core.spec import SpecError
from service import arrays
from service.answers import JSON
from service.bodies import read_json
from service.dependencies import MODEL_NAMED, opened, resolved_model, tenant
from service.openapi import JSON_BODY, document_body, refuses
from store.errors import NotFound

# Multiplications that are done at once in the event loop (about a millisecond): a thread costs 0.2 ms more.
AT_ONCE = 5_000_000
LONG_BODY = 64 * 1024  # bytes of JSON that are parsed in a thread


class PlainRoute(APIRoute):
    """A route whose endpoint takes the request itself: documented like the others, but nothing is solved for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, as it is."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


router = APIRouter(tags=["models"], route_class=PlainRoute)


class ClassChance(BaseModel):
    """One class and how probable the model takes it to be."""

    class_: JsonScalar = Field(alias="class")
    probability: float


class PredictionView(ClassChance):
    """The most probable class of one row, and the best few."""

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


@router.post(
    "/v1/models/{model_id}/predict",
    summary="Predict",
    response_model=Predictions,
    responses=refuses(*JSON_BODY, SpecError, arrays.InputsRefused, arrays.BatchTooLarge, NotFound),
    openapi_extra={
        "parameters": [MODEL_PATH],
        **document_body(
            arrays.PredictRequest,
            {
                "rows": {"inputs": [[5.1, 3.5, 1.4, 0.2]], "top": 2},
                "encoded": {"inputs": {"data": "MzOjQAAAYECamZk/zcxMPg==", "dtype": "float32", "shape": [1, 4]}},
            },
        ),
    },
)
async def predict(request: Request) -> Response:
    """Send raw values, as they were uploaded: the model carries its preprocessing."""
    services = opened(request)
    model_id = await resolved_model(request, request.path_params["model_id"])
    predictor = await services.predictors.get(tenant(request), model_id)
    body = await read_json(request, services.settings)
    rows = services.settings.max_predict_rows
    if len(body) > LONG_BODY:
        content = await services.compute(_predict, predictor, body, rows)
    else:
        inputs, top = arrays.parse(body, predictor.input_shape, rows)
        if len(inputs) * predictor.network.size <= AT_ONCE:
            content = _forward(predictor, inputs, top)
        else:
            content = await services.compute(_forward, predictor, inputs, top)
    return Response(content, media_type=JSON)


def _predict(predictor: Predictor, body: bytes, max_rows: int) -> bytes:
    inputs, top = arrays.parse(body, predictor.input_shape, max_rows)
    return _forward(predictor, inputs, top)


def _forward(predictor: Predictor, inputs: arrays.Inputs, top: int) -> bytes:
    outputs = predictor.predict(inputs)
    if not np.isfinite(outputs).all():
        row = int(np.argmin(np.isfinite(outputs).all(axis=1)))
        raise arrays.InputsRefused(
            f"/inputs/{row}", "The numbers of this row are so large that the network's outputs are no longer finite."
        )
    labels = predictor.label(outputs, top) if isinstance(predictor.schema.target, ClassTarget) else None
    return orjson.dumps({"outputs": outputs, "predictions": labels}, option=orjson.OPT_SERIALIZE_NUMPY)
