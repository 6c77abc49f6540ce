"""Receipts: what anyone needs to repeat a job, and what the repetition must come to."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from core.receipt import Receipt
from service.answers import conditional
from service.checkpoints import SAFETENSORS, safetensors
from service.dependencies import JobId, Opened, Tenant
from service.openapi import refuses
from store.errors import NoReceipt, NotFound
from store.receipts import read_receipt, start_of

router = APIRouter(tags=["jobs"])


@router.get(
    "/v1/jobs/{job_id}/receipt",
    summary="Get a job's receipt",
    response_model=Receipt,
    responses=refuses(NotFound, NoReceipt),
)
async def get_receipt(request: Request, services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """Spec, seed, digests of the data and of every checkpoint, versions and fingerprint; `nudge verify` repeats the
    training from it on any machine, and compares. That of a job which is not over tells how far it came."""
    return conditional(request, await services.call(read_receipt, services.database, tenant, job_id))


@router.get(
    "/v1/jobs/{job_id}/start",
    summary="Download what a job began with",
    response_class=Response,
    responses=SAFETENSORS,
)
async def get_start(request: Request, services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """The checkpoint of `from_checkpoint`, the weights of `from_weights`, or for predictions the checkpoint of their
    model, also when these are gone; 404 where the weights were drawn."""
    blob = await services.call(start_of, services.database, tenant, job_id)
    return await safetensors(request, services, blob, blob, f"{job_id}-start")
