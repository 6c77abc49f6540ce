"""Checkpoints: where a job could go on, and their bytes."""

from datetime import datetime
from typing import Any, Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.answers import Listing, answer, conditional, matches
from service.dependencies import CheckpointId, JobId, Opened, Tenant
from service.lifespan import Services
from service.openapi import refuses
from store.errors import NotFound
from store.records import CheckpointRecord

router = APIRouter(tags=["jobs"])
BYTES = "application/octet-stream"
SAFETENSORS: dict[int | str, dict[str, Any]] = {
    200: {"description": "A safetensors file.", "content": {BYTES: {"schema": {"type": "string"}}}},
    **refuses(NotFound),
}


class CheckpointView(BaseModel):
    """A checkpoint without its tensors."""

    id: str = Field(examples=["ckpt_01kb8r4d7m2w9k5c3x8v1n6qze"])
    object: Literal["checkpoint"] = "checkpoint"
    job: str
    epoch: int = Field(description="Finished epochs.")
    step: int = Field(description="Finished batches of the next epoch.")
    steps: int | None = Field(description="Batches of a whole epoch; null where an older version stored it.")
    digest: str = Field(description="Covers tensors, position and spec; no id, name, time or machine.")
    metrics: dict[str, Any]
    bytes: int
    fingerprint: dict[str, str | int | None] | None = Field(
        description="What computed it: versions, kernels, libraries, processor, threads. Outside the digest."
    )
    created_at: datetime

    @classmethod
    def of(cls, record: CheckpointRecord) -> Self:
        """The view of a record."""
        return cls(
            id=record.id,
            job=record.job_id,
            epoch=record.epoch,
            step=record.step,
            steps=record.steps,
            digest=record.digest,
            metrics=record.metrics,
            bytes=record.size,
            fingerprint=record.fingerprint,
            created_at=record.created_at,
        )


@router.get(
    "/v1/jobs/{job_id}/checkpoints",
    summary="List a job's checkpoints, newest first",
    response_model=Listing[CheckpointView],
    responses=refuses(NotFound),
)
async def list_checkpoints(services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """Those that the job still keeps."""
    records = await services.call(services.jobs.checkpoints, tenant, job_id)
    return answer(Listing(data=[CheckpointView.of(record) for record in records]))


@router.get(
    "/v1/checkpoints/{checkpoint_id}",
    summary="Get a checkpoint",
    response_model=CheckpointView,
    responses=refuses(NotFound),
)
async def get_checkpoint(request: Request, services: Opened, tenant: Tenant, checkpoint_id: CheckpointId) -> Response:
    """Without its tensors."""
    record = await services.call(services.jobs.checkpoint, tenant, checkpoint_id)
    return conditional(request, CheckpointView.of(record))


@router.get(
    "/v1/checkpoints/{checkpoint_id}/content",
    summary="Download a checkpoint",
    response_class=Response,
    responses=SAFETENSORS,
)
async def get_checkpoint_content(
    request: Request, services: Opened, tenant: Tenant, checkpoint_id: CheckpointId
) -> Response:
    """Tensors, position, schema and preprocessing as safetensors; the ETag is the checkpoint's digest."""
    record = await services.call(services.jobs.checkpoint, tenant, checkpoint_id)
    return await safetensors(request, services, record.blob, record.digest, record.id)


async def safetensors(request: Request, services: Services, blob: str, digest: str, name: str) -> Response:
    """A stored safetensors file with its digest as the ETag."""
    etag = f'"{digest}"'
    headers = {"ETag": etag, "Content-Disposition": f'attachment; filename="{name}.safetensors"'}
    if matches(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(await services.call(services.blobs.get, blob), media_type=BYTES, headers=headers)
