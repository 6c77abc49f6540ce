"""Jobs: submitted, watched, stopped, gone on with, deleted."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from core.estimate import Estimate
from core.training_spec import TrainingSpec
from service.answers import Listing, answer, conditional, etag_of, listing
from service.dependencies import (
    Cursor,
    JobId,
    Limit,
    NameFilter,
    Opened,
    Tenant,
    json_body,
)
from service.job_submission import SUBMITTED, submitted
from service.job_views import JobView
from service.openapi import document_body, refuses
from store.errors import BadCursor, IllegalMove, NotFound
from store.lifecycle import Kind, Status
from store.records import JobRecord

router = APIRouter(tags=["jobs"])
LONGEST_WAIT_S = 60

SPEC_EXAMPLE: dict[str, Any] = {
    "name": "digits",
    "dataset": "ds_01kb8r2v5k1e2w9d4c7h3q6zax",
    "validation": {"fraction": 0.2},
    "network": {
        "layers": [
            {"type": "flatten"},
            {"type": "dense", "units": 16},
            {"type": "sigmoid"},
            {"type": "dense", "units": 10},
            {"type": "sigmoid"},
        ]
    },
    "loss": {"type": "quadratic"},
    "optimizer": {"type": "sgd", "learning_rate": 3.0},
    "batch_size": 10,
    "epochs": 30,
}


@router.post(
    "/v1/jobs",
    status_code=202,
    summary="Submit a job",
    response_model=JobView,
    responses=SUBMITTED,
    openapi_extra=document_body(TrainingSpec, {"digits": SPEC_EXAMPLE}),
)
async def submit_job(
    request: Request,
    services: Opened,
    tenant: Tenant,
    spec: Annotated[TrainingSpec, Depends(json_body(TrainingSpec))],
    validate_only: Annotated[bool, Query(description="Check and estimate, store nothing.")] = False,
) -> Response:
    """Checked against the dataset at the door: shapes, targets and memory. With an `Idempotency-Key` header the same
    request may be sent again without making a second job."""

    async def admit() -> tuple[Estimate, None]:
        return await services.call(services.admission.admit, tenant, spec), None

    return await submitted(request, services, tenant, spec, admit, validate_only)


@router.get(
    "/v1/jobs", summary="List jobs, newest first", response_model=Listing[JobView], responses=refuses(BadCursor)
)
async def list_jobs(
    services: Opened,
    tenant: Tenant,
    cursor: Cursor = None,
    limit: Limit = 50,
    status: Annotated[Status | None, Query(description="Only those of this status.")] = None,
    name: NameFilter = None,
    kind: Annotated[Kind | None, Query(description="Only those of this kind.")] = None,
) -> Response:
    """All jobs, or those of a status, a name, a kind, or all of these."""
    return listing(await services.call(services.jobs.page, tenant, limit, cursor, status, name, kind), JobView.of)


@router.get("/v1/jobs/{job_id}", summary="Get a job", response_model=JobView, responses=refuses(NotFound))
async def get_job(
    request: Request,
    services: Opened,
    tenant: Tenant,
    job_id: JobId,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False, description="Seconds to wait for a change.")
    ] = 0,
) -> Response:
    """With `wait`, answers at once when the job is over or `If-None-Match` names another state; else at the next event,
    or when the time is over."""
    record = await services.call(services.jobs.get, tenant, job_id)
    if wait and not record.over and not _knows_another_state(request, record):
        await services.broadcast.wait(record, wait)
        record = await services.call(services.jobs.get, tenant, job_id)
    view = JobView.of(record)
    etag = f'"{_state(view)}-{view.queue_position}"' if view.queue_position is not None else None
    return conditional(request, view, etag)


def _state(view: JobView) -> str:
    """A digest of all but the place in the line. That moves with other jobs: who waits for this one, waits on."""
    return etag_of(view.model_copy(update={"queue_position": None}).model_dump_json().encode()).strip('"')


def _knows_another_state(request: Request, record: JobRecord) -> bool:
    known = request.headers.get("if-none-match")
    return known is not None and known.strip() != "*" and _state(JobView.of(record)) not in known


@router.delete("/v1/jobs/{job_id}", status_code=204, summary="Delete a job", responses=refuses(NotFound, IllegalMove))
async def delete_job(services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """Only a job that is over; its events, metrics, checkpoints and predictions go with it, its models stay."""
    await services.write(services.jobs.delete, tenant, job_id)
    return Response(status_code=204)


_move = partial(router.post, status_code=202, response_model=JobView, responses=refuses(NotFound, IllegalMove))


@_move("/v1/jobs/{job_id}/cancel", summary="Stop a job for good")
async def cancel_job(services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """A queued or paused job is cancelled at once, a running one as soon as its worker hears of it."""
    return _moved(await services.write(services.jobs.cancel, tenant, job_id))


@_move("/v1/jobs/{job_id}/pause", summary="Pause a job")
async def pause_job(services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """A running job keeps a checkpoint first, or the predictions that it has made."""
    return _moved(await services.write(services.jobs.pause, tenant, job_id))


@_move("/v1/jobs/{job_id}/resume", summary="Go on with a paused job, or take back its pause")
async def resume_job(services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """A paused job is queued again, and goes on from its last checkpoint, or behind the predictions that it has. A
    running one whose pause is still pending just goes on."""
    record = await services.write(services.jobs.resume, tenant, job_id)
    services.doorbell.ring(record.id)
    return _moved(record)


@_move("/v1/jobs/{job_id}/retry", summary="Go on with a failed job")
async def retry_job(services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """Queued again with its attempts counted anew; it goes on as a paused one does."""
    record = await services.write(services.jobs.retry, tenant, job_id)
    services.doorbell.ring(record.id)
    return _moved(record)


def _moved(record: JobRecord) -> Response:
    return answer(JobView.of(record), 202, {"Location": f"/v1/jobs/{record.id}"})
