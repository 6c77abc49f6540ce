"""What a job tells while it trains: its events, live or replayed, and its metrics by epoch."""

import csv
import io
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from service.answers import JSON, Listing, answer, preferred
from service.dependencies import LARGEST_EVENT, BadHeader, JobId, Opened, Tenant
from service.openapi import reference, refuses
from service.parameters import BadParameter
from store.errors import NotFound
from store.lifecycle import EVENTS
from store.records import Event
from store.story import tell

router = APIRouter(tags=["jobs"])
EVENT_STREAM = "text/event-stream"
CSV = "text/csv"

STREAM_EXAMPLE = (
    'id: 1\nevent: queued\ndata: {"name":"digits","message":"accepted; waits for a worker",'
    '"created_at":"2026-11-22T07:00:00.000000Z"}\n\n'
    'id: 2\nevent: started\ndata: {"worker":"w1","attempt":1,"after_s":0.1,'
    '"message":"taken by w1 after 0.1 s; starts from the beginning","created_at":"2026-11-22T07:00:00.100000Z"}\n\n'
)


class EventView(BaseModel):
    """Something that happened to a job."""

    number: int = Field(description="Counts from 1 without gaps.")
    type: str = Field(examples=["epoch"])
    data: dict[str, Any]
    message: str = Field(
        description="What happened, in plain words.",
        examples=["worker lost at epoch 12; taken over after 31 s from the checkpoint of epoch 11 by node-4-17"],
    )
    created_at: datetime

    @classmethod
    def of(cls, event: Event) -> "EventView":
        """The view of an event."""
        return cls(
            number=event.number,
            type=event.type,
            data=event.data,
            message=tell(event.type, event.data),
            created_at=event.created_at,
        )


class MetricRow(BaseModel):
    """The metrics of one epoch; null where there is nothing to measure."""

    model_config = ConfigDict(extra="allow")

    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    examples_per_s: float | None = None
    seconds: float | None = None


class Metrics(BaseModel):
    """The learning curve, one row for each epoch."""

    object: Literal["list"] = "list"
    data: list[MetricRow]


@router.get(
    "/v1/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=Response,
    responses={
        200: {
            "description": "A stream that ends when the job is over; with `Accept: application/json` a list.",
            "content": {
                EVENT_STREAM: {"schema": {"type": "string"}, "example": STREAM_EXAMPLE},
                JSON: {"schema": reference(Listing[EventView])},
            },
        },
        **refuses(NotFound, BadHeader),
    },
)
async def get_events(
    request: Request,
    services: Opened,
    tenant: Tenant,
    job_id: JobId,
    after: Annotated[int, Query(ge=0, le=LARGEST_EVENT, description="Only events behind this number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Of the list; a stream has no limit.")] = 200,
    types: Annotated[
        list[str],
        Query(
            alias="type",
            description="Of the list: only events of this type, or of these when it comes several times.",
            json_schema_extra={"items": {"type": "string", "enum": sorted(EVENTS)}},
        ),
    ] = [],  # noqa: B006 (FastAPI copies it)
) -> Response:
    """`Last-Event-ID` goes before `after`, so that a client that reconnects goes on where it was."""
    after = _last_event_id(request, after)
    as_list = preferred(request, EVENT_STREAM, JSON) == JSON
    _check_types(types, as_list)
    if as_list:
        events = await services.call(services.jobs.events, tenant, job_id, after, limit + 1, types)
        more = len(events) > limit
        cursor = str(events[limit - 1].number) if more else None
        views = [EventView.of(event) for event in events[:limit]]
        return answer(Listing(data=views, has_more=more, next_cursor=cursor))
    job = await services.call(services.jobs.get, tenant, job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(services.broadcast.stream(job, after), media_type=EVENT_STREAM, headers=headers)


def _check_types(types: list[str], as_list: bool) -> None:
    if types and not as_list:
        raise BadParameter("type", "Only the list can be of some types: ask for it with `Accept: application/json`.")
    for kind in types:
        if kind not in EVENTS:
            raise BadParameter("type", f"There is no event of type {kind[:80]!r}; known are {', '.join(EVENTS)}.")


def _last_event_id(request: Request, after: int) -> int:
    text = request.headers.get("last-event-id", "").strip()
    if not text:
        return after
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= LARGEST_EVENT):
        raise BadHeader("Last-Event-ID", "This is not the number of an event; send the `id` of the last one received.")
    return int(text)


@router.get(
    "/v1/jobs/{job_id}/metrics",
    summary="Get the learning curve",
    response_model=Metrics,
    responses={
        200: {"content": {CSV: {"schema": {"type": "string"}, "example": "epoch,train_loss\r\n1,0.52\r\n"}}},
        **refuses(NotFound),
    },
)
async def get_metrics(
    request: Request,
    services: Opened,
    tenant: Tenant,
    job_id: JobId,
    max_points: Annotated[
        int | None, Query(ge=2, le=1_000_000, description="Thin the curve to so many rows; first and last stay.")
    ] = None,
) -> Response:
    """As JSON, or as CSV with `Accept: text/csv`."""
    rows = await services.call(services.jobs.metrics, tenant, job_id)
    rows = thinned(rows, max_points)
    if preferred(request, JSON, CSV) == CSV:
        headers = {"Content-Disposition": f'attachment; filename="{job_id}-metrics.csv"'}
        return Response(_csv(rows), media_type=CSV, headers=headers)
    return answer(Metrics(data=[MetricRow.model_validate(row) for row in rows]))


def thinned(rows: list[dict[str, Any]], max_points: int | None) -> list[dict[str, Any]]:
    """At most `max_points` rows, evenly spread, the first and the last always among them."""
    if max_points is None or len(rows) <= max_points:
        return rows
    step = (len(rows) - 1) / (max_points - 1)
    return [rows[round(point * step)] for point in range(max_points)]


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys([*MetricRow.model_fields, *(key for row in rows for key in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
