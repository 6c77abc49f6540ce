"""The rows of a job's checkpoints: added once, the oldest forgotten."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from core.fingerprint import Fingerprint
from store.ids import new_id
from store.tables import checkpoint

WITHIN_AN_EPOCH = 2  # so that there is one to fall back to; they are for going on, and go when the epoch's end is kept


@dataclass(frozen=True)
class NewCheckpoint:
    """A checkpoint whose bytes are already stored under `blob`; `steps` is the number of batches of a whole epoch."""

    epoch: int
    step: int
    digest: str
    metrics: dict[str, Any]
    blob: str
    size: int
    best: bool = False
    steps: int | None = None
    id: str = field(default_factory=lambda: new_id("checkpoint"))


def add_checkpoints(
    connection: Connection,
    job_row: Any,
    checkpoints: Sequence[NewCheckpoint],
    now: datetime,
    fingerprint: Fingerprint | None,
) -> tuple[list[NewCheckpoint], list[NewCheckpoint]]:
    """Keep one row for each place of the training, with the newest bytes; gives (all, those that are new or changed).

    A place comes again when an attempt went on from an earlier one, since the bytes of this one were damaged, or when
    a report is repeated. The row keeps its id.
    """
    query = select(checkpoint).where(checkpoint.c.job_id == job_row.id)
    present = {(row.epoch, row.step): row for row in connection.execute(query)}
    kept, told = [], []
    for new in checkpoints:
        row = present.get((new.epoch, new.step))
        content: dict[str, Any] = {"digest": new.digest, "metrics": new.metrics, "blob": new.blob, "size": new.size}
        content |= {"fingerprint": fingerprint, "steps": new.steps}
        if row is None:
            settled = new
            place = {"id": new.id, "tenant_id": job_row.tenant_id, "job_id": job_row.id, "created_at": now}
            connection.execute(insert(checkpoint).values(epoch=new.epoch, step=new.step, **place, **content))
        else:
            settled = replace(new, id=row.id)
            if (row.digest, row.blob) != (new.digest, new.blob):
                connection.execute(update(checkpoint).where(checkpoint.c.id == row.id).values(content))
        kept.append(settled)
        if row is None or row.digest != new.digest:
            told.append(settled)
    return kept, told


def forget_old_checkpoints(connection: Connection, job_id: str, keep: int, named: Collection[str | None]) -> None:
    """Delete all but the newest `keep` of finished epochs, the newest two within the running one, and the `named`."""
    query = select(checkpoint.c.id, checkpoint.c.step).where(checkpoint.c.job_id == job_id)
    rows = connection.execute(query.order_by(checkpoint.c.epoch.desc(), checkpoint.c.step.desc())).all()
    within = [row.id for row in takewhile(lambda row: row.step > 0, rows)]
    stay = {*within[:WITHIN_AN_EPOCH], *[row.id for row in rows if row.step == 0][:keep], *named}
    old = [row.id for row in rows if row.id not in stay]
    if old:
        connection.execute(delete(checkpoint).where(checkpoint.c.id.in_(old)))
