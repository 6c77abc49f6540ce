"""Many jobs stopped with one request."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.answers import answer
from service.dependencies import NameFilter, Opened, Tenant
from service.openapi import refuses
from service.parameters import BadParameter
from store.lifecycle import OVER, Status

router = APIRouter(tags=["jobs"])


class BulkCancel(BaseModel):
    """How many jobs a bulk cancel reached."""

    object: Literal["bulk_cancel"] = "bulk_cancel"
    cancelled: int = Field(description="Jobs that waited or were paused, and are cancelled now.")
    requested: int = Field(description="Running jobs that are asked to stop, by this request or an earlier one.")


@router.post(
    "/v1/jobs/cancel",
    status_code=202,
    summary="Stop many jobs for good",
    response_model=BulkCancel,
    responses=refuses(),
)
async def cancel_jobs(
    services: Opened,
    tenant: Tenant,
    status: Annotated[Status | None, Query(description="Only those of this status.")] = None,
    name: NameFilter = None,
) -> Response:
    """All jobs of a status, a name, or both, but for those that are over. Those that wait or are paused are cancelled
    at once, running ones as soon as their workers hear of it. The request may be repeated."""
    if status is None and name is None:
        raise BadParameter("status", "Say which jobs to cancel: give a status, a name, or both.")
    if status in OVER:
        raise BadParameter("status", f"Jobs that are {status} are over, so there is nothing to cancel.")
    cancelled = requested = 0
    turn: tuple[str, str | None] | None = ("", None)
    while turn is not None:  # in turns, so that other writers are not kept waiting
        done = await services.write(services.jobs.cancel_some, tenant, status, name, *turn)
        cancelled, requested, turn = cancelled + done.cancelled, requested + done.requested, done.more
    return answer(BulkCancel(cancelled=cancelled, requested=requested), 202)
