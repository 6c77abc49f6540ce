"""Jobs: submitted, watched, stopped, gone on with, deleted."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.estimate import Estimate
from core.spec import SpecError
from core.training_spec import TrainingSpec
from service.admission import TooMuchMemory
from service.answers import Listing, answer, conditional, etag_of
from service.dependencies import (
    BadHeader,
    Cursor,
    JobId,
    Limit,
    NameFilter,
    Opened,
    Tenant,
    json_body,
)
from service.lifespan import Services
from service.openapi import JSON_BODY, document_body, refuses
from service.references import references
from store.crash_points import reach
from store.errors import BadCursor, IllegalMove, KeyInProgress, KeyReused, NotFound
from store.lifecycle import Kind, Status
from store.line import COUNTED
from store.records import JobRecord
from store.submissions import Idempotency, JobSpec, NewJob, Submission

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


class ProgressView(BaseModel):
    """How far a job came: a training counts epochs, predictions count rows."""

    epoch: int = Field(description="Finished epochs.")
    epochs: int = Field(description="0 for predictions.")
    rows_done: int | None = Field(description="Rows whose predictions are stored; null for a training.")
    rows: int | None = Field(description="Rows to predict; null for a training.")
    fraction: float = Field(description="Of the whole job, 0 to 1.")
    examples_per_s: float | None
    eta_s: float | None


class JobView(BaseModel):
    """A job as it stands."""

    id: str = Field(examples=["job_01kb8r3c8n5t0v6m2f9x4y7pqd"])
    object: Literal["job"] = "job"
    kind: Kind
    name: str
    status: Status
    status_reason: str | None = Field(description="Why it ended as it did, where that needs saying.")
    spec: dict[str, Any] = Field(
        description="The TrainingSpec, or for predictions the PredictionSpec, with every default written out."
    )
    estimate: Estimate
    attempt: int = Field(description="How often a worker took the job.")
    runtime_s: float = Field(description="Seconds in which a worker held it, since it was submitted or retried.")
    bit_exact: bool = Field(
        description="Whether its bytes are promised to be those of any other run of this spec under its fingerprint."
    )
    bit_exact_reason: str | None = Field(description="Why they are not.")
    priority: int
    queue_position: int | None = Field(
        description="While the job waits: its place in the order in which workers take jobs, 1 being the next. Counted "
        f"up to {COUNTED}; {COUNTED + 1} says that {COUNTED} or more go before."
    )
    progress: ProgressView
    last_sign_of_life_at: datetime | None = Field(
        description="While it runs: when its worker was heard last, by the worker's clock."
    )
    lease_s: float | None = Field(
        description="While it runs: after how many seconds without a sign of life it goes to another worker."
    )
    metrics: dict[str, Any] | None = Field(description="Metrics of the last finished epoch.")
    checkpoint: str | None = Field(description="The newest checkpoint.")
    best_checkpoint: str | None
    model: str | None = Field(description="The model that a succeeded training made.")
    cancel_requested: bool = Field(description="Whether the running job was asked to stop for good.")
    pause_requested: bool = Field(description="Whether the running job was asked to pause.")
    last_event: int = Field(description="Number of the newest event.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        """The view of a record."""
        return cls(
            id=record.id,
            kind=Kind(record.kind),
            name=record.name,
            status=Status(record.status),
            status_reason=record.status_reason,
            spec=record.spec,
            estimate=Estimate.model_validate(record.estimate),
            attempt=record.attempt,
            runtime_s=record.runtime_s,
            bit_exact=record.bit_exact,
            bit_exact_reason=record.bit_exact_reason,
            priority=record.priority,
            queue_position=record.queue_position,
            progress=ProgressView(
                epoch=record.epoch,
                epochs=record.epochs,
                rows_done=record.rows_done,
                rows=record.rows,
                fraction=record.fraction,
                examples_per_s=record.examples_per_s,
                eta_s=record.eta_s,
            ),
            last_sign_of_life_at=record.renewed_at,
            lease_s=record.lease_s,
            metrics=record.metrics,
            checkpoint=record.checkpoint_id,
            best_checkpoint=record.best_checkpoint_id,
            model=record.model_id,
            cancel_requested=record.cancel_requested,
            pause_requested=record.pause_requested,
            last_event=record.last_event,
            created_at=record.created_at,
            started_at=record.started_at,
            finished_at=record.finished_at,
        )


class DryRun(BaseModel):
    """What a job would cost; nothing was stored."""

    object: Literal["estimate"] = "estimate"
    spec: dict[str, Any] = Field(description="With every default written out.")
    estimate: Estimate


@router.post(
    "/v1/jobs",
    status_code=202,
    summary="Submit a job",
    response_model=JobView,
    responses={
        200: {"model": DryRun, "description": "With `validate_only`: the estimate; nothing was stored."},
        **refuses(*JSON_BODY, SpecError, TooMuchMemory, BadHeader, KeyReused, KeyInProgress, NotFound),
    },
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


async def submitted(
    request: Request,
    services: Services,
    tenant: str,
    spec: JobSpec,
    admit: Callable[[], Awaitable[tuple[Estimate, int | None]]],
    validate_only: bool,
) -> Response:
    """The answer to a job of any kind that is asked for; `admit` says what it costs, and how many rows it predicts."""
    idempotency = _idempotency(request, spec)
    with references(spec):
        try:
            estimate, rows = await admit()
        except (NotFound, TooMuchMemory):
            # What was let in once stays accepted, also when the checkpoint or model that it began from is gone by now.
            if idempotency is None:
                raise
            earlier = await services.call(services.jobs.replay, tenant, idempotency)
            if earlier is None:
                raise
            return _accepted(earlier)
        if validate_only:
            return answer(DryRun(spec=spec.model_dump(mode="json"), estimate=estimate))
        submission = await services.submissions.submit(NewJob(tenant, spec, estimate, idempotency, rows))
    reach("submit.before_bell")
    if not submission.replayed:
        services.doorbell.ring(submission.job.id)
    reach("submit.before_answer")
    return _accepted(submission)


def _accepted(submission: Submission) -> Response:
    job = submission.job
    headers = {"Location": f"/v1/jobs/{job.id}", "Retry-After": "1"}
    if submission.replayed:
        headers["Idempotent-Replayed"] = "true"
    return answer(JobView.of(job), 202, headers)


def _idempotency(request: Request, spec: JobSpec) -> Idempotency | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if len(key) >= 2 and key[0] == key[-1] == '"':  # the draft's form: a structured-field string
        key = key[1:-1]
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise BadHeader("Idempotency-Key", "The key must be 1 to 255 printable ASCII characters, such as a UUID.")
    return Idempotency(key, "sha256:" + hashlib.sha256(spec.model_dump_json().encode()).hexdigest())


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
    page = await services.call(services.jobs.page, tenant, limit, cursor, status, name, kind)
    views = [JobView.of(record) for record in page.items]
    return answer(Listing(data=views, has_more=page.next_cursor is not None, next_cursor=page.next_cursor))


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
