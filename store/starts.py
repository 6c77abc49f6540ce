"""What is known when an attempt begins: how the job came to wait, for how long, and from where it goes on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from store import tables
from store.line import WAITS
from store.parts import Part, parts_of
from store.records import CheckpointRecord, checkpoint_record
from store.trails import Mark, marks_of

job, event, checkpoint = tables.job, tables.event, tables.checkpoint

# The last event of a job that waits is the one that queued it.
_LAST_EVENT = select(
    event.c.number, event.c.type, event.c.data, event.c.created_at, job.c.attempt, job.c.start_blob, job.c.rows_done
).join_from(job, event, (event.c.job_id == job.c.id) & (event.c.number == job.c.last_event))


@dataclass(frozen=True)
class Start:
    """The beginning of an attempt, seen before the job is taken."""

    checkpoints: tuple[CheckpointRecord, ...]  # of a training, newest first
    marks: tuple[Mark, ...]  # of a traced one
    parts: tuple[Part, ...]  # of predictions, in order
    data: dict[str, Any]  # of the event
    unchanged: ColumnElement[bool]  # true for the job's row as long as nothing happened to it since


def look(connection: Connection, job_id: str, now: datetime) -> Start | None:
    """How a job would start at the moment `now`; None when no such job waits."""
    row = connection.execute(_LAST_EVENT.where(job.c.id == job_id, WAITS)).one_or_none()
    if row is None:
        return None
    waited_s = max(0.0, (now - row.created_at).total_seconds())  # a clock may be set back
    data: dict[str, Any] = {
        "attempt": row.attempt + 1,
        "after": row.type,
        "after_s": round(waited_s + row.data.get("silence_s", 0.0), 3),
    }
    if row.type == "rescued":
        data["lost"] = "worker" if row.data.get("silence_s") else "training process"
    unchanged = job.c.last_event == row.number
    if row.rows_done is not None:
        return Start((), (), parts_of(connection, job_id), data | {"from_row": row.rows_done}, unchanged)
    checkpoints = _checkpoints(connection, job_id)
    data |= {
        "from_epoch": checkpoints[0].epoch if checkpoints else 0,
        "from_step": checkpoints[0].step if checkpoints else 0,
        "from_steps": checkpoints[0].steps if checkpoints else None,
    }
    if row.start_blob is not None and not checkpoints:
        data["fork"] = True
    if row.type == "rescued":
        data["lost_at_epoch"] = row.data["epoch"] + 1
    marks = marks_of(connection, job_id) if checkpoints else ()
    return Start(checkpoints, marks, (), data, unchanged)


def _checkpoints(connection: Connection, job_id: str) -> tuple[CheckpointRecord, ...]:
    query = select(checkpoint).where(checkpoint.c.job_id == job_id)
    query = query.order_by(checkpoint.c.epoch.desc(), checkpoint.c.step.desc(), checkpoint.c.id.desc())
    return tuple(checkpoint_record(found) for found in connection.execute(query))
