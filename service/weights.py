"""Uploaded weights: what a job may begin with, whoever trained it."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.readers import TooLarge
from core.spec import Finding, SpecError
from core.weight_files import read_weights
from service import uploads
from service.answers import Listing, answer, conditional, listing
from service.bodies import BodyTooLarge, BodyTooSlow, EncodedBody, WrongContentType, content_type
from service.dependencies import Cursor, Limit, Opened, Tenant, WeightsId
from service.lanes import Busy
from service.openapi import refuses
from store.errors import BadCursor, NotFound
from store.weights import WeightsRecord

router = APIRouter(tags=["models"])
FORM = "multipart/form-data"


class TensorView(BaseModel):
    """A tensor by its name."""

    name: str = Field(examples=["layers.0.weights"])
    dtype: str = Field(examples=["float32"])
    shape: tuple[int, ...] = Field(examples=[(784, 16)])


class WeightsView(BaseModel):
    """Uploaded weights without their numbers."""

    id: str = Field(examples=["wts_01kb8r6c3f8y2n5d9s4j7p1mha"])
    object: Literal["weights"] = "weights"
    digest: str = Field(description="SHA-256 of the tensors as a safetensors file; the same in either format.")
    tensors: list[TensorView]
    bytes: int
    created_at: datetime

    @classmethod
    def of(cls, record: WeightsRecord) -> Self:
        """The view of a record."""
        return cls(
            id=record.id,
            digest=record.blob,
            tensors=[TensorView.model_validate(tensor) for tensor in record.tensors],
            bytes=record.size,
            created_at=record.created_at,
        )


_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
                }
            }
        },
    }
}


@router.post(
    "/v1/weights",
    status_code=201,
    summary="Upload weights",
    response_model=WeightsView,
    responses=refuses(
        uploads.MalformedForm, BodyTooLarge, BodyTooSlow, WrongContentType, EncodedBody, Busy, SpecError, TooLarge
    ),
    openapi_extra=_UPLOAD_BODY,
)
async def create_weights(request: Request, services: Opened, tenant: Tenant) -> Response:
    """Send `multipart/form-data` with a safetensors or NPZ file as `file`; a job begins with them by `from_weights`.
    Its tensors have the names that an export gives them: `layers.0.weights`, `state.layers.1.mean`. What an export
    holds besides (optimizer, preprocessing) is left out. A pickle is never opened."""
    kind = content_type(request)
    if kind != FORM:
        raise WrongContentType(kind, FORM)
    settings = services.settings
    async with services.uploads.slot() as folder:
        limit, timeout_s = settings.max_upload_bytes, settings.body_timeout_s
        form = await uploads.receive(request, folder, limit, timeout_s, fields=(), files=("file",))
        into = folder / "weights.safetensors"
        tensors = await asyncio.to_thread(_read, form, into, settings.max_upload_bytes)
        record = await services.call(services.weights.add, tenant, into, tensors)
    return answer(WeightsView.of(record), 201, {"Location": f"/v1/weights/{record.id}"})


def _read(form: uploads.Form, into: Path, limit: int) -> list[dict[str, Any]]:
    if "file" not in form.files:
        raise SpecError([Finding("/file", "There is no file; send the weights as the part file.")])
    return [tensor._asdict() for tensor in read_weights(form.files["file"], into, limit)]


@router.get(
    "/v1/weights",
    summary="List uploaded weights, newest first",
    response_model=Listing[WeightsView],
    responses=refuses(BadCursor),
)
async def list_weights(services: Opened, tenant: Tenant, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """All that were uploaded and not deleted since."""
    return listing(await services.call(services.weights.page, tenant, limit, cursor), WeightsView.of)


@router.get(
    "/v1/weights/{weights_id}", summary="Get uploaded weights", response_model=WeightsView, responses=refuses(NotFound)
)
async def get_weights(request: Request, services: Opened, tenant: Tenant, weights_id: WeightsId) -> Response:
    """The names, types and shapes of their tensors."""
    return conditional(request, WeightsView.of(await services.call(services.weights.get, tenant, weights_id)))


@router.delete(
    "/v1/weights/{weights_id}", status_code=204, summary="Delete uploaded weights", responses=refuses(NotFound)
)
async def delete_weights(services: Opened, tenant: Tenant, weights_id: WeightsId) -> Response:
    """Jobs that began with them keep what they need."""
    await services.write(services.weights.delete, tenant, weights_id)
    return Response(status_code=204)
