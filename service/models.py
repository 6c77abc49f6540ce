"""Models: trained networks by name and version, their notes and their files."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.spec import Spec, SpecError
from service.answers import Listing, answer, conditional, etag_of_view, listing
from service.dependencies import (
    Cursor,
    Limit,
    ModelId,
    NameFilter,
    NoSuchModel,
    Opened,
    Tenant,
    checked_id,
    json_body,
)
from service.names import Name
from service.openapi import JSON_BODY, document_body, refuses
from service.preconditions import Conditions, PreconditionFailed, Preconditions
from store.errors import BadCursor, InUse, NotFound
from store.records import ModelRecord

router = APIRouter(tags=["models"])
Notes = Annotated[str, Field(max_length=10_000, description="A text, such as what it was trained for and how well.")]


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
    notes: str = Field(description="What people write about it: the one thing of a model that can be changed.")
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
            notes=record.notes,
            created_at=record.created_at,
        )


class NewModel(Spec):
    """A model to be made from a checkpoint."""

    checkpoint: str = Field(examples=["ckpt_01kb8r4d7m2w9k5c3x8v1n6qze"])
    name: Name
    notes: Notes = ""


class ModelChanges(Spec):
    """What can be changed of a model."""

    notes: Notes


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
    return listing(await services.call(services.models.page, tenant, limit, cursor, name), ModelView.of)


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
    record = await services.write(services.models.add, tenant, checkpoint_id, wanted.name, wanted.notes)
    services.model_names.forget()
    return answer(ModelView.of(record), 201, {"Location": f"/v1/models/{record.id}"})


@router.get("/v1/models/{model_id}", summary="Get a model", response_model=ModelView, responses=refuses(NoSuchModel))
async def get_model(request: Request, services: Opened, tenant: Tenant, model_id: ModelId) -> Response:
    """With its lineage: dataset, job, checkpoint and their digests, which it keeps when those are deleted."""
    return conditional(request, ModelView.of(await services.call(services.models.get, tenant, model_id)))


@router.patch(
    "/v1/models/{model_id}",
    summary="Change a model's notes",
    response_model=ModelView,
    responses=refuses(*JSON_BODY, SpecError, NoSuchModel, PreconditionFailed),
    openapi_extra=document_body(ModelChanges, {"notes": {"notes": "Trained without the blurred pictures."}}),
)
async def change_model(
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    conditions: Preconditions,
    changes: Annotated[ModelChanges, Depends(json_body(ModelChanges))],
) -> Response:
    """All else of a model never changes. With `If-Match`, only while the model is as its ETag says."""
    look = _conditions(conditions)
    record = await services.write(services.models.annotate, tenant, model_id, changes.notes, look)
    view = ModelView.of(record)
    return answer(view, headers={"ETag": etag_of_view(view)})


@router.delete(
    "/v1/models/{model_id}",
    status_code=204,
    summary="Delete a model",
    responses=refuses(NoSuchModel, InUse, PreconditionFailed),
)
async def delete_model(services: Opened, tenant: Tenant, model_id: ModelId, conditions: Preconditions) -> Response:
    """Refused while an alias points at it. Its version is not given again."""
    await services.write(services.models.delete, tenant, model_id, _conditions(conditions))
    services.predictors.forget(tenant, model_id)
    services.model_names.forget()
    services.subjects.forget(tenant, model_id)
    return Response(status_code=204)


def _conditions(conditions: Conditions) -> Callable[[ModelRecord], None]:
    return lambda record: conditions.check(f"Model {record.id}", etag_of_view(ModelView.of(record)))
