"""Exports: a model as a file that other programs read, or as a page for people."""

import io
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from safetensors.numpy import load
from starlette.responses import Response

from core.checkpoint import Checkpoint
from core.onnx import NotExportable, to_onnx
from service.card import card
from service.checkpoints import BYTES
from service.dependencies import ModelId, NoSuchModel, Opened, Tenant
from service.lifespan import Services
from service.openapi import refuses
from store.datasets import DatasetRecord
from store.errors import NotFound
from store.records import ModelRecord

router = APIRouter(tags=["models"])
MARKDOWN = "text/markdown; charset=utf-8"
ENDINGS = {"card": "md"}  # where the format is not the ending of the file's name


@router.get(
    "/v1/models/{model_id}/export",
    summary="Download a model",
    response_class=Response,
    responses={
        200: {
            "description": "A file with a name.",
            "content": {BYTES: {"schema": {"type": "string"}}, "text/markdown": {"schema": {"type": "string"}}},
        },
        **refuses(NoSuchModel, NotExportable),
    },
)
async def export_model(
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    form: Annotated[
        Literal["safetensors", "npz", "onnx", "card"], Query(alias="format", description="The kind of file.")
    ] = "safetensors",
) -> Response:
    """`safetensors` is the whole checkpoint, `npz` its tensors for `numpy.load`. `onnx` takes raw `inputs` (and a
    `mask` where the model was trained with masks), in the model's own type, and gives the `outputs` that `predict`
    shows. `card` describes the model in Markdown: data, network, learning curve, metrics, lineage, limits."""
    record = await services.call(services.models.get, tenant, model_id)
    content = await services.call(services.models.load, record)
    match form:
        case "npz":
            content = await services.compute(_npz, content)
        case "onnx":
            content = await services.compute(_onnx, record, content)
        case "card":
            data, epochs = await services.call(_history, services, tenant, record)
            content = await services.compute(_card, record, content, data, epochs)
    name = f"{record.name}-{record.version}.{ENDINGS.get(form, form)}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=MARKDOWN if form == "card" else BYTES, headers=headers)


def _npz(content: bytes) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = load(content)
    np.savez(file, **arrays)
    return file.getvalue()


def _onnx(record: ModelRecord, content: bytes) -> bytes:
    lineage = {
        "name": record.name,
        "version": str(record.version),
        "model": record.id,
        "job": record.job_id,
        "checkpoint": record.checkpoint_id,
        "checkpoint_digest": record.digest,
        "dataset": record.dataset_id,
        "dataset_digest": record.dataset_digest,
    }
    return to_onnx(Checkpoint.from_bytes(content), record.name, lineage)


def _card(record: ModelRecord, content: bytes, data: DatasetRecord | None, epochs: list[dict[str, Any]]) -> bytes:
    return card(record, Checkpoint.from_bytes(content), data, epochs).encode()


def _history(services: Services, tenant: str, record: ModelRecord) -> tuple[DatasetRecord | None, list[dict[str, Any]]]:
    """The dataset, and the metrics of each epoch, as far as they are still there: a model outlives both."""
    try:
        epochs = services.jobs.metrics(tenant, record.job_id)
    except NotFound:
        epochs = []
    try:
        return services.datasets.get(tenant, record.dataset_id), epochs
    except NotFound:
        return None, epochs
