"""Models: trained networks by name and version, their aliases and their files."""

import io
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field
from safetensors.numpy import load
from starlette.responses import Response

from core.spec import Spec, SpecError
from service.answers import Listing, answer, conditional
from service.dependencies import NAME_PATTERN, Cursor, Limit, ModelId, NameFilter, Opened, Tenant, checked_id, json_body
from service.lifespan import Services
from service.names import Name
from service.openapi import JSON_BODY, document_body, refuses
from store.errors import BadCursor, InUse, NotFound
from store.records import ModelRecord

router = APIRouter(tags=["models"])
BYTES = "application/octet-stream"


class ModelView(BaseModel):
    """A model with its lineage."""

    id: str = Field(examples=["mdl_01kb8r5t2v9h4c7k1w6x3m8qpd"])
    object: Literal["model"] = "model"
    name: str
    version: int = Field(description="Counts the models of this name.")
    aliases: tuple[str, ...]
    job: str = Field(description="The job that trained it.")
    checkpoint: str
    dataset: str
    dataset_digest: str
    digest: str = Field(description="Of the checkpoint it was made from.")
    spec: dict[str, Any] = Field(description="The TrainingSpec of its job.")
    metrics: dict[str, Any]
    bytes: int
    created_at: datetime

    @classmethod
    def of(cls, record: ModelRecord) -> Self:
        """The view of a record."""
        return cls(
            id=record.id,
            name=record.name,
            version=record.version,
            aliases=record.aliases,
            job=record.job_id,
            checkpoint=record.checkpoint_id,
            dataset=record.dataset_id,
            dataset_digest=record.dataset_digest,
            digest=record.digest,
            spec=record.spec,
            metrics=record.metrics,
            bytes=record.size,
            created_at=record.created_at,
        )


class NewModel(Spec):
    """A model to be made from a checkpoint."""

    checkpoint: str = Field(examples=["ckpt_01kb8r4d7m2w9k5c3x8v1n6qze"])
    name: Name


class AliasTarget(Spec):
    """Where an alias points."""

    version: Annotated[int, Field(strict=True, ge=1, lt=2**31)]


@router.get(
    "/v1/models",
    summary="List models, newest first",
    response_model=Listing[ModelView],
    responses=refuses(BadCursor),
)
async def list_models(
    services: Opened, tenant: Tenant, cursor: Cursor = None, limit: Limit = 50, name: NameFilter = None
) -> Response:
    """All models, or all versions of one name."""
    page = await services.call(services.models.page, tenant, limit, cursor, name)
    views = [ModelView.of(record) for record in page.items]
    return answer(Listing(data=views, has_more=page.next_cursor is not None, next_cursor=page.next_cursor))


@router.post(
    "/v1/models",
    status_code=201,
    summary="Make a model from a checkpoint",
    response_model=ModelView,
    responses=refuses(*JSON_BODY, SpecError, NotFound),
    openapi_extra=document_body(
        NewModel, {"digits": {"checkpoint": "ckpt_01kb8r4d7m2w9k5c3x8v1n6qze", "name": "digits"}}
    ),
)
async def create_model(
    services: Opened, tenant: Tenant, wanted: Annotated[NewModel, Depends(json_body(NewModel))]
) -> Response:
    """The next version of its name. (A job that succeeds makes a model by itself.)"""
    checkpoint_id = checked_id("checkpoint", wanted.checkpoint)
    record = await services.write(services.models.add, tenant, checkpoint_id, wanted.name)
    return answer(ModelView.of(record), 201, {"Location": f"/v1/models/{record.id}"})


@router.get("/v1/models/{model_id}", summary="Get a model", response_model=ModelView, responses=refuses(NotFound))
async def get_model(request: Request, services: Opened, tenant: Tenant, model_id: ModelId) -> Response:
    """With its lineage: dataset, job, checkpoint, digest."""
    return conditional(request, ModelView.of(await services.call(services.models.get, tenant, model_id)))


@router.delete("/v1/models/{model_id}", status_code=204, summary="Delete a model", responses=refuses(NotFound, InUse))
async def delete_model(services: Opened, tenant: Tenant, model_id: ModelId) -> Response:
    """Refused while an alias points at it."""
    await services.write(services.models.delete, tenant, model_id)
    services.predictors.forget(tenant, model_id)
    services.subjects.forget(tenant, model_id)
    return Response(status_code=204)


@router.put(
    "/v1/models/{name}/aliases/{alias}",
    summary="Point an alias at a version",
    response_model=ModelView,
    responses=refuses(*JSON_BODY, SpecError, NotFound),
    openapi_extra=document_body(AliasTarget, {"second": {"version": 2}}),
)
async def set_alias(
    services: Opened,
    tenant: Tenant,
    name: Annotated[str, Path(pattern=NAME_PATTERN, description="The models' name.")],
    alias: Annotated[str, Path(pattern=NAME_PATTERN, description="Such as `production`.")],
    target: Annotated[AliasTarget, Depends(json_body(AliasTarget))],
) -> Response:
    """The alias is made, or moved if it was there before."""
    record = await services.write(services.models.set_alias, tenant, name, alias, target.version)
    return answer(ModelView.of(record))


@router.delete(
    "/v1/models/{name}/aliases/{alias}", status_code=204, summary="Remove an alias", responses=refuses(NotFound)
)
async def remove_alias(
    services: Opened,
    tenant: Tenant,
    name: Annotated[str, Path(pattern=NAME_PATTERN, description="The models' name.")],
    alias: Annotated[str, Path(pattern=NAME_PATTERN, description="Such as `production`.")],
) -> Response:
    """The model that it pointed at stays."""
    await services.write(services.models.remove_alias, tenant, name, alias)
    return Response(status_code=204)


@router.get(
    "/v1/models/{model_id}/export",
    summary="Download a model",
    response_class=Response,
    responses={
        200: {"description": "A file with a name.", "content": {BYTES: {"schema": {"type": "string"}}}},
        **refuses(NotFound),
    },
)
async def export_model(
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    form: Annotated[
        Literal["safetensors", "npz"], Query(alias="format", description="The kind of file.")
    ] = "safetensors",
) -> Response:
    """`safetensors` is the whole checkpoint, `npz` its tensors for `numpy.load`."""
    record, content = await services.call(_export, services, tenant, model_id, form)
    headers = {"Content-Disposition": f'attachment; filename="{record.name}-{record.version}.{form}"'}
    return Response(content, media_type=BYTES, headers=headers)


def _export(services: Services, tenant: str, model_id: str, form: str) -> tuple[ModelRecord, bytes]:
    record = services.models.get(tenant, model_id)
    content = services.models.load(record)
    if form == "npz":
        file = io.BytesIO()
        arrays: dict[str, Any] = load(content)
        np.savez(file, **arrays)
        content = file.getvalue()
    return record, content
