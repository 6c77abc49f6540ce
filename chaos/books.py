"""What the database says of one job, read at one time."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from store import tables
from store.database import Database
from store.lifecycle import Kind

CLOCKS = ("seconds", "examples_per_s")


@dataclass(frozen=True)
class Books:
    """The rows of a job; events by number, metrics by epoch, parts by row, the rest as they are."""

    job: Any
    events: list[Any]
    metrics: list[Any]
    checkpoints: list[Any]
    models: list[Any]
    parts: list[Any]
    files: list[Any]

    @property
    def predicts(self) -> bool:
        return bool(self.job.kind == Kind.PREDICT)

    @property
    def curve(self) -> list[dict[str, Any]]:
        """The metric rows without what clocks measured."""
        return [
            {"epoch": row.epoch} | {name: value for name, value in row.measurements.items() if name not in CLOCKS}
            for row in self.metrics
        ]

    @property
    def told(self) -> str:
        """Its events in a few lines, for people."""
        return "\n".join(
            f"    {row.created_at:%H:%M:%S.%f} {row.number:4} {row.type} {row.data}"
            for row in self.events
            if row.type not in ("epoch", "part")
        )


def read(database: Database, job_id: str) -> Books | None:
    """The books of a job; None when there is no such row. Raises Unavailable."""
    job, event, metric = tables.job, tables.event, tables.metric
    checkpoint, model, part, file = tables.checkpoint, tables.model, tables.part, tables.predictions
    with database.reading() as connection:
        row = connection.execute(select(job).where(job.c.id == job_id)).one_or_none()
        if row is None:
            return None
        return Books(
            row,
            list(connection.execute(select(event).where(event.c.job_id == job_id).order_by(event.c.number))),
            list(connection.execute(select(metric).where(metric.c.job_id == job_id).order_by(metric.c.epoch))),
            list(connection.execute(select(checkpoint).where(checkpoint.c.job_id == job_id))),
            list(connection.execute(select(model).where(model.c.job_id == job_id))),
            list(connection.execute(select(part).where(part.c.job_id == job_id).order_by(part.c.first_row))),
            list(connection.execute(select(file).where(file.c.job_id == job_id))),
        )


def stray_jobs(database: Database, known: set[str]) -> list[tuple[str, str | None]]:
    """(job, key) of every row that no client knows."""
    job, key = tables.job, tables.idempotency
    query = select(job.c.id, key.c.key).select_from(job.outerjoin(key, key.c.job_id == job.c.id))
    with database.reading() as connection:
        return [(row.id, row.key) for row in connection.execute(query) if row.id not in known]


def key_owners(database: Database) -> dict[str, str]:
    """The job of each key."""
    key = tables.idempotency
    with database.reading() as connection:
        return {row.key: row.job_id for row in connection.execute(select(key.c.key, key.c.job_id))}
