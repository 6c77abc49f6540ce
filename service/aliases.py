"""Aliases: words such as `production` that point at one version of a model's name."""

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.spec import Spec, SpecError
from service.answers import Listing, answer, conditional, etag_of_view, listing
from service.dependencies import NAME_PATTERN, Cursor, Limit, Opened, Tenant, json_body
from service.models import ModelView
from service.openapi import JSON_BODY, document_body, refuses
from service.preconditions import Conditions, PreconditionFailed, Preconditions
from store.aliases import Look
from store.errors import BadCursor, NotFound
from store.records import AliasRecord

router = APIRouter(tags=["models"])
ModelName = Annotated[str, Path(pattern=NAME_PATTERN, description="The models' name.")]
Alias = Annotated[str, Path(pattern=NAME_PATTERN, description="Such as `production`.")]
# `name@3` is the third version, so no alias is a number.
NewAlias = Annotated[
    str,
    Path(
        pattern=r"^([A-Za-z]|[0-9]+[A-Za-z._-])[A-Za-z0-9._-]*$",
        max_length=64,
        description="Such as `production`; not a number.",
    ),
]


class AliasView(BaseModel):
    """Where an alias points."""

    object: Literal["alias"] = "alias"
    name: str = Field(examples=["digits"])
    alias: str = Field(examples=["production"])
    version: int
    model: str = Field(examples=["mdl_01kb8r5t2v9h4c7k1w6x3m8qpd"])
    updated_at: datetime = Field(description="When it was pointed there.")

    @classmethod
    def of(cls, record: AliasRecord) -> Self:
        """The view of a record."""
        return cls(
            name=record.name,
            alias=record.alias,
            version=record.version,
            model=record.model_id,
            updated_at=record.updated_at,
        )


class AliasTarget(Spec):
    """Where an alias is to point."""

    version: Annotated[int, Field(strict=True, ge=1, lt=2**31)]


@router.get(
    "/v1/models/{name}/aliases",
    summary="List a name's aliases, the last moved first",
    response_model=Listing[AliasView],
    responses=refuses(BadCursor, NotFound),
)
async def list_aliases(
    services: Opened, tenant: Tenant, name: ModelName, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Each with the version that it points at."""
    return listing(await services.call(services.aliases.page, tenant, name, limit, cursor), AliasView.of)


@router.get(
    "/v1/models/{name}/aliases/{alias}",
    summary="Get an alias",
    response_model=AliasView,
    responses=refuses(NotFound),
)
async def get_alias(request: Request, services: Opened, tenant: Tenant, name: ModelName, alias: Alias) -> Response:
    """Its ETag is for `If-Match`. The model itself is at `/v1/models/{name}@{alias}`."""
    return conditional(request, AliasView.of(await services.call(services.aliases.get, tenant, name, alias)))


@router.put(
    "/v1/models/{name}/aliases/{alias}",
    summary="Point an alias at a version",
    response_model=ModelView,
    responses=refuses(*JSON_BODY, SpecError, NotFound, PreconditionFailed),
    openapi_extra=document_body(AliasTarget, {"second": {"version": 2}}),
)
async def set_alias(
    services: Opened,
    tenant: Tenant,
    name: ModelName,
    alias: NewAlias,
    conditions: Preconditions,
    target: Annotated[AliasTarget, Depends(json_body(AliasTarget))],
) -> Response:
    """The alias is made, or moved if it was there before: with `If-Match` only while it is as its ETag says, with
    `If-None-Match: *` only if it is new. Answers the model, with the ETag of the alias."""
    look = _look(conditions, name, alias)
    model, record = await services.write(services.aliases.set, tenant, name, alias, target.version, look)
    services.model_names.forget()
    headers = {"ETag": etag_of_view(AliasView.of(record)), "Content-Location": f"/v1/models/{model.id}"}
    return answer(ModelView.of(model), headers=headers)


@router.delete(
    "/v1/models/{name}/aliases/{alias}",
    status_code=204,
    summary="Remove an alias",
    responses=refuses(NotFound, PreconditionFailed),
)
async def remove_alias(
    services: Opened, tenant: Tenant, name: ModelName, alias: Alias, conditions: Preconditions
) -> Response:
    """The model that it pointed at stays. With `If-Match`, only while the alias is as its ETag says."""
    await services.write(services.aliases.remove, tenant, name, alias, _look(conditions, name, alias))
    services.model_names.forget()
    return Response(status_code=204)


def _look(conditions: Conditions, name: str, alias: str) -> Look:
    def look(record: AliasRecord | None) -> None:
        etag = None if record is None else etag_of_view(AliasView.of(record))
        conditions.check(f"The alias {alias!r} of {name!r}", etag)

    return look
