"""Stopping jobs on request: at once where nobody trains them, else as a request that their worker obeys.

A pause that is not obeyed yet can be taken back: it was a request and no move, and so is this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from store import tables
from store.lifecycle import TRANSITIONS, Status
from store.moves import move, notice

job = tables.job
CANCELLABLE = TRANSITIONS["cancel"].sources
BATCH = 100  # jobs that one transaction cancels


@dataclass(frozen=True)
class Cancelled:
    """What one turn of a bulk cancel did: jobs that are cancelled, and running ones that are asked to stop."""

    cancelled: int
    requested: int
    more: tuple[str, str] | None  # `after` and `last` of the next turn; None when there is nothing left


def stop(connection: Connection, row: Any, name: str) -> Any:
    """Cancel or pause the job of a locked row, or ask its worker to, which is noted once; gives the row after it."""
    if row.status != Status.RUNNING:
        return move(connection, name, row.id, data={"was": row.status})
    requested = job.c.cancel_requested if name == "cancel" else job.c.pause_requested
    changed = notice(
        connection, f"{name}_requested", row.id, guard=[requested.is_(False)], values={requested.name: True}
    )
    return changed if changed is not None else row


def take_back(connection: Connection, row: Any) -> Any | None:
    """Take back the pause that a locked running job was asked for; gives its row, None when it was not asked to.

    Where its worker has stopped for it already, the job is released instead of paused (`Claims.end`).
    """
    guard = [job.c.status == str(Status.RUNNING), job.c.pause_requested]
    return notice(connection, "pause_withdrawn", row.id, guard=guard, values={"pause_requested": False})


def cancel_some(
    connection: Connection, chosen: Sequence[ColumnElement[bool]], after: str, last: str | None
) -> Cancelled:
    """Cancel a few of the `chosen` jobs that are not over: behind the id `after`, up to `last`, else the newest of now.

    Rows are locked in the order of ids, so that of two who do this at once one waits, and neither for the other.
    """
    wanted = [*chosen, job.c.status.in_([str(status) for status in CANCELLABLE])]
    if last is None:
        # What is submitted meanwhile is left alone: a client that goes on submitting would keep this from ending.
        last = connection.scalar(select(func.max(job.c.id)).where(*wanted)) or ""
    query = select(job).where(*wanted, job.c.id > after, job.c.id <= last).order_by(job.c.id).limit(BATCH)
    rows = connection.execute(query.with_for_update()).all()
    stopped = [stop(connection, row, "cancel") for row in rows]
    requested = sum(row.status == Status.RUNNING for row in stopped)
    return Cancelled(len(rows) - requested, requested, (rows[-1].id, last) if len(rows) == BATCH else None)
