"""What a traced job leaves: recorded weights while it trains, and in their place its descent when it is over."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from store import tables

mark, descent = tables.mark, tables.descent


class Mark(NamedTuple):
    """The weights after `step` updates, whose bytes are stored under `blob`."""

    step: int
    blob: str


def add_marks(connection: Connection, job_row: Any, marks: Sequence[Mark]) -> None:
    """Keep one for each place, with the newest bytes: a job that was taken over comes to some places again."""
    if not marks:
        return
    known = {found.step: found.blob for found in marks_of(connection, job_row.id)}
    for step, blob in marks:
        if step not in known:
            row = {"job_id": job_row.id, "step": step, "tenant_id": job_row.tenant_id, "blob": blob}
            connection.execute(insert(mark).values(row))
        elif known[step] != blob:
            place = mark.c.job_id == job_row.id, mark.c.step == step
            connection.execute(update(mark).where(*place).values(blob=blob))
        known[step] = blob


def marks_of(connection: Connection, job_id: str) -> tuple[Mark, ...]:
    """Those of a job, in order."""
    query = select(mark.c.step, mark.c.blob).where(mark.c.job_id == job_id).order_by(mark.c.step)
    return tuple(Mark(row.step, row.blob) for row in connection.execute(query))


def keep_descent(connection: Connection, job_row: Any, blob: str) -> None:
    """Keep what the marks were for, and let them go."""
    row = {"job_id": job_row.id, "tenant_id": job_row.tenant_id, "blob": blob}
    connection.execute(insert(descent).values(row))
    connection.execute(delete(mark).where(mark.c.job_id == job_row.id))


def descent_of(connection: Connection, job_id: str) -> str | None:
    """The blob of a job's descent."""
    return connection.execute(select(descent.c.blob).where(descent.c.job_id == job_id)).scalar_one_or_none()
