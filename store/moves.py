"""The one function that moves a job: a guarded UPDATE and its event, numbered from the job row itself.

The event's number is taken in the very statement that changes the job. So numbers have no gaps, and whoever follows
them in order can never miss one, whatever order transactions commit in.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from store import clock, tables
from store.lifecycle import NOTICES, OVER, TRANSITIONS, Status

job = tables.job
INSERT_EVENT = insert(tables.event)  # one constant statement is compiled once


def move(
    connection: Connection,
    name: str,
    job_id: str,
    *,
    guard: Sequence[ColumnElement[bool]] = (),
    values: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Any | None:
    """Make the move `name` of TRANSITIONS if the job's status and `guard` allow it.

    Gives the job's row after the move, or None when nothing was changed. The event holds `data`, and how far it came.
    """
    transition = TRANSITIONS[name]
    now = clock.now()
    changes: dict[str, Any] = {
        "status": str(transition.target),
        "last_event": job.c.last_event + 1,
        **(values or {}),
    }
    if transition.target in OVER:
        changes |= {"finished_at": now, "owner": None, "eta_s": None}
    elif transition.target is Status.QUEUED:
        changes |= {"owner": None, "finished_at": None, "eta_s": None}
        if name not in ("rescue", "release"):  # it has waited already, and keeps its place
            changes["queued_at"] = now
    elif transition.target is Status.PAUSED:
        changes |= {"owner": None, "eta_s": None}
    if transition.target is not Status.RUNNING:
        changes |= {"cancel_requested": False, "pause_requested": False, "renewed_at": None, "lease_s": None}
    statement = (
        update(job)
        .where(job.c.id == job_id, job.c.status.in_([str(source) for source in transition.sources]), *guard)
        .values(changes)
        .returning(job)
    )
    row = connection.execute(statement).one_or_none()
    if row is not None:
        place = {"epoch": row.epoch, "epochs": row.epochs, "checkpoint": row.checkpoint_id}
        if row.rows is not None:
            place = {"rows_done": row.rows_done, "rows": row.rows}
        elif transition.target is Status.PAUSED:
            place |= _within(connection, row)
        told = (transition.event, place | dict(data or {}))
        record_events(connection, row.tenant_id, job_id, row.last_event, [told], now)
    return row


def _within(connection: Connection, row: Any) -> dict[str, int | None]:
    """How far into the running epoch a job's newest checkpoint is; nothing where it is none of that epoch."""
    table = tables.checkpoint
    query = select(table.c.step, table.c.steps).where(
        table.c.id == row.checkpoint_id, table.c.epoch == row.epoch, table.c.step > 0
    )
    found = connection.execute(query).one_or_none()
    return {"step": found.step, "steps": found.steps} if found is not None else {}


def notice(
    connection: Connection,
    kind: str,
    job_id: str,
    *,
    guard: Sequence[ColumnElement[bool]] = (),
    values: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Any | None:
    """Note an event that is no move, with the changes it stands for; None when `guard` forbids it."""
    if kind not in NOTICES:
        raise ValueError(f"{kind!r} is not an event of NOTICES")
    changes: dict[str, Any] = {"last_event": job.c.last_event + 1, **(values or {})}
    row = connection.execute(update(job).where(job.c.id == job_id, *guard).values(changes).returning(job)).one_or_none()
    if row is not None:
        record_events(connection, row.tenant_id, job_id, row.last_event, [(kind, dict(data or {}))], clock.now())
    return row


def record_events(
    connection: Connection,
    tenant: str,
    job_id: str,
    last_number: int,
    events: Sequence[tuple[str, dict[str, Any]]],
    now: datetime,
) -> None:
    """Write events whose last one has `last_number`, which the job row already counts."""
    first = last_number - len(events) + 1
    connection.execute(
        INSERT_EVENT,
        [
            {
                "job_id": job_id,
                "number": first + place,
                "tenant_id": tenant,
                "type": kind,
                "data": data,
                "created_at": now,
            }
            for place, (kind, data) in enumerate(events)
        ],
    )
