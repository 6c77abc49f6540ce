"""The Open Inference Protocol v2, but for inference itself: what the server is, and its models by name and version."""

import re
from importlib.metadata import version
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path
from starlette.responses import Response

from service import health
from service.answers import answer
from service.dependencies import NAME_PATTERN, NotReady, Opened, Tenant, checked_id
from service.inference_schemas import (
    INPUT,
    MASK,
    OUTPUT,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from service.lifespan import Services
from service.model_names import Named
from service.openapi import fails
from service.tensors import DATATYPES
from store.errors import NotFound
from store.ids import PREFIXES

NAME = re.compile(NAME_PATTERN)
router = APIRouter(tags=["inference"])

ModelName = Annotated[str, Path(description="A model's name, or its id.")]
ModelVersion = Annotated[str, Path(description="A number, or an alias such as `production`.")]


async def named_model(services: Services, tenant: str, name: str, version: str | None) -> Named:
    """What a name and a version stand for; what cannot be one is NotFound without asking the store."""
    if name.startswith(PREFIXES["model"]):
        checked_id("model", name)
    elif not NAME.fullmatch(name):
        raise NotFound("model", name[:80])
    if version is not None and not NAME.fullmatch(version):
        raise NotFound("version", version[:80])
    return await services.model_names.get(tenant, name, version)


@router.get("/v2", summary="Server metadata", response_model=ServerMetadata, responses=fails(stored=False))
async def server_metadata() -> Response:
    """Name, version and the extensions of the protocol that are supported."""
    return answer(ServerMetadata(version=version("nudge-training")))


@router.get("/v2/health/live", summary="Is the server live?", response_model=ServerLive, responses=fails(stored=False))
async def server_live() -> Response:
    """Answers as long as the process does anything at all."""
    return answer(ServerLive())


@router.get("/v2/health/ready", summary="Is the server ready?", response_model=ServerReady, responses=fails(NotReady))
async def server_ready(services: Opened) -> Response:
    """Whether the database answers and has its tables. Models are loaded when they are asked for."""
    await health.readyz(services)
    return answer(ServerReady())


@router.get(
    "/v2/models/{model_name}", summary="Model metadata", response_model=ModelMetadata, responses=fails(NotFound)
)
async def model_metadata(services: Opened, tenant: Tenant, model_name: ModelName) -> Response:
    """The tensors of a name's newest version, and all its versions."""
    return await _metadata(services, tenant, model_name, None)


@router.get(
    "/v2/models/{model_name}/versions/{model_version}",
    summary="Model metadata of a version",
    response_model=ModelMetadata,
    responses=fails(NotFound),
)
async def version_metadata(
    services: Opened, tenant: Tenant, model_name: ModelName, model_version: ModelVersion
) -> Response:
    """The tensors of one version, and all versions of its name."""
    return await _metadata(services, tenant, model_name, model_version)


async def _metadata(services: Opened, tenant: str, name: str, version: str | None) -> Response:
    named = await named_model(services, tenant, name, version)
    predictor = await services.predictors.get(tenant, named.id)
    versions = await services.call(services.models.versions, tenant, named.name)
    network = predictor.network
    datatype = DATATYPES[np.dtype(predictor.schema.input_dtype)]
    inputs = [TensorMetadata(name=INPUT, datatype=datatype, shape=[-1, *network.input_shape])]
    if network.masked:
        inputs.append(TensorMetadata(name=MASK, datatype="BOOL", shape=[-1, network.input_shape[0]]))
    output = TensorMetadata(name=OUTPUT, datatype=DATATYPES[predictor.dtype], shape=[-1, *network.output_shape])
    return answer(ModelMetadata(name=named.name, versions=list(map(str, versions)), inputs=inputs, outputs=[output]))


@router.get(
    "/v2/models/{model_name}/ready", summary="Is a model ready?", response_model=ModelReady, responses=fails(NotFound)
)
async def model_ready(services: Opened, tenant: Tenant, model_name: ModelName) -> Response:
    """Loads the newest version of a name, if it is not loaded yet."""
    return await _ready(services, tenant, model_name, None)


@router.get(
    "/v2/models/{model_name}/versions/{model_version}/ready",
    summary="Is a version of a model ready?",
    response_model=ModelReady,
    responses=fails(NotFound),
)
async def version_ready(
    services: Opened, tenant: Tenant, model_name: ModelName, model_version: ModelVersion
) -> Response:
    """Loads the version, if it is not loaded yet."""
    return await _ready(services, tenant, model_name, model_version)


async def _ready(services: Opened, tenant: str, name: str, version: str | None) -> Response:
    named = await named_model(services, tenant, name, version)
    await services.predictors.get(tenant, named.id)
    return answer(ModelReady(name=named.name))
