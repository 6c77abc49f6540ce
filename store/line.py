"""The line of waiting jobs: the one order in which workers take them, and the place of each in it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from store import tables
from store.lifecycle import Status
from store.records import JobRecord, job_record

job = tables.job
WAITS = job.c.status == str(Status.QUEUED)
ORDER = (job.c.priority.desc(), job.c.queued_at, job.c.id)  # the index of this order makes both cheap
COUNTED = 1000  # places; who stands behind them is told the next one, so that no answer costs more than these

# Constant statements are compiled once.
_EDGE = select(job.c.priority, job.c.queued_at, job.c.id).where(WAITS).order_by(*ORDER).offset(COUNTED - 1).limit(1)
_LINE = select(job.c.id, func.row_number().over(order_by=ORDER).label("place")).where(WAITS)
_COUNTED = _LINE.order_by(*ORDER).limit(COUNTED).subquery()
_PLACES = select(_COUNTED).where(_COUNTED.c.id.in_(bindparam("ids", expanding=True)))
_AGAIN = select(job).where(job.c.id.in_(bindparam("ids", expanding=True)))


def placed(connection: Connection, records: Sequence[JobRecord]) -> list[JobRecord]:
    """The records with `queue_position` set for those that wait; one that was taken meanwhile is read again."""
    waiting = [record for record in records if record.status == Status.QUEUED]
    if not waiting:
        return list(records)
    edge = connection.execute(_EDGE).one_or_none()
    near = [record.id for record in waiting if edge is None or _key(record) <= _key(edge)]
    places = {row.id: row.place for row in connection.execute(_PLACES, {"ids": near})} if near else {}
    missing = [job_id for job_id in near if job_id not in places]
    again = {row.id: job_record(row) for row in connection.execute(_AGAIN, {"ids": missing})} if missing else {}
    newest = [again.get(record.id, record) for record in records]
    return [
        replace(record, queue_position=places.get(record.id, COUNTED + 1)) if record.status == Status.QUEUED else record
        for record in newest
    ]


def _key(row: Any) -> tuple[int, datetime, str]:
    """`ORDER` as a value: the smaller one goes first."""
    return -row.priority, row.queued_at, row.id
