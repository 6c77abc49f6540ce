"""The rows of a job's checkpoints: added once, the oldest forgotten."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from store.ids import new_id
from store.tables import checkpoint


@dataclass(frozen=True)
class NewCheckpoint:
    """A checkpoint whose bytes are already stored under `blob`."""

    epoch: int
    step: int
    digest: str
    metrics: dict[str, Any]
    blob: str
    size: int
    best: bool = False
    id: str = field(default_factory=lambda: new_id("checkpoint"))


def add_checkpoints(
    connection: Connection, job_row: Any, checkpoints: Sequence[NewCheckpoint], now: datetime
) -> list[NewCheckpoint]:
    """Add those that the job does not have yet; gives them."""
    known = select(checkpoint.c.epoch, checkpoint.c.step).where(checkpoint.c.job_id == job_row.id)
    present = {(row.epoch, row.step) for row in connection.execute(known)}
    added = [new for new in checkpoints if (new.epoch, new.step) not in present]
    if added:
        rows = [
            {
                "id": new.id,
                "tenant_id": job_row.tenant_id,
                "job_id": job_row.id,
                "epoch": new.epoch,
                "step": new.step,
                "digest": new.digest,
                "metrics": new.metrics,
                "blob": new.blob,
                "size": new.size,
                "created_at": now,
            }
            for new in added
        ]
        connection.execute(insert(checkpoint), rows)
    return added


def forget_old_checkpoints(connection: Connection, job_id: str, keep: int, named: Collection[str | None]) -> None:
    """Delete all but the newest `keep` and those that the job `named`."""
    query = select(checkpoint.c.id).where(checkpoint.c.job_id == job_id)
    ids = list(connection.scalars(query.order_by(checkpoint.c.epoch.desc(), checkpoint.c.step.desc())))
    old = [found for found in ids[keep:] if found not in named]
    if old:
        connection.execute(delete(checkpoint).where(checkpoint.c.id.in_(old)))
