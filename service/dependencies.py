"""What every route is given: the services of the process, the tenant, and the checked parts of a request."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ValidationError

from core.spec import SpecError, findings
from service import bodies, strict_json
from service.guard import Headers
from service.lifespan import Services
from store.errors import NotFound
from store.ids import PREFIXES

M = TypeVar("M", bound=BaseModel)
ID = re.compile(r"[a-z]+_[0-9a-z]{26}")
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
NAME = re.compile(NAME_PATTERN)
MODEL_NAMED = "`mdl_...`, `name@version` or `name@alias`."
LARGEST_EVENT = 2**31 - 1


@dataclass
class BadHeader(Exception):
    """A header's value is not of the form it must have."""

    name: str
    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass
class NoSuchModel(NotFound):
    """Nothing of this tenant is named so."""

    def __str__(self) -> str:
        return f"{super().__str__()} Name a model by its id, or as name@version or name@alias."


@dataclass
class NotReady(Exception):
    """The server cannot do its work now, for these reasons."""

    reasons: list[str]

    def __str__(self) -> str:
        return " ".join(self.reasons)


def opened(request: Request) -> Services:
    """The services that the application opened when it started."""
    services: Services = request.app.state.services
    return services


def tenant_of(headers: Headers) -> str:
    """Whose request it is, by its headers. One tenant, until API keys tell them apart."""
    return "default"


def tenant(request: Request) -> str:
    """Whose request it is."""
    return tenant_of(request.scope["headers"])


def checked_id(kind: str, value: str) -> str:
    """An id of a kind; anything that cannot be one is NotFound without asking the store."""
    if not value.startswith(PREFIXES[kind]) or not ID.fullmatch(value):
        raise NotFound(kind, value[:80])
    return value


def begins_like_id(name: str) -> bool:
    """Whether a name could be taken for an id."""
    return name.startswith(tuple(PREFIXES.values()))


async def _dataset_id(dataset_id: Annotated[str, Path(description="`ds_...`")]) -> str:
    return checked_id("dataset", dataset_id)


async def _job_id(job_id: Annotated[str, Path(description="`job_...`")]) -> str:
    return checked_id("job", job_id)


async def _checkpoint_id(checkpoint_id: Annotated[str, Path(description="`ckpt_...`")]) -> str:
    return checked_id("checkpoint", checkpoint_id)


async def _weights_id(weights_id: Annotated[str, Path(description="`wts_...`")]) -> str:
    return checked_id("weights", weights_id)


async def resolved_model(request: Request, named: str) -> str:
    """The id of the model that an id, `name@version` or `name@alias` names now; raises NoSuchModel."""
    name, at, version_or_alias = named.partition("@")
    try:
        if not at:
            return checked_id("model", named)
        if not NAME.fullmatch(name) or not NAME.fullmatch(version_or_alias):
            raise NotFound("model", named[:140])
        record = await opened(request).call(opened(request).models.resolve, tenant(request), name, version_or_alias)
    except NotFound as error:
        raise NoSuchModel(error.kind, error.id) from None
    return record.id


async def _model_id(request: Request, model_id: Annotated[str, Path(description=MODEL_NAMED)]) -> str:
    return await resolved_model(request, model_id)


async def _opened(request: Request) -> Services:
    return opened(request)


async def _tenant(request: Request) -> str:
    return tenant(request)


def json_body(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads a short body as `model`: strict JSON first, then what pydantic says of it."""

    async def read(request: Request) -> M:
        body = await bodies.read_json(request, opened(request).settings)
        strict_json.loads(body)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise SpecError(findings(error)) from None

    return read


DatasetId = Annotated[str, Depends(_dataset_id)]
JobId = Annotated[str, Depends(_job_id)]
CheckpointId = Annotated[str, Depends(_checkpoint_id)]
WeightsId = Annotated[str, Depends(_weights_id)]
ModelId = Annotated[str, Depends(_model_id)]
Opened = Annotated[Services, Depends(_opened)]
Tenant = Annotated[str, Depends(_tenant)]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
NameFilter = Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only those of this name.")]
