"""Receipts: gathered from a job's row, its datasets, its events and its metrics."""

from typing import Any

from sqlalchemy import Connection, select

from core.receipt import Data, Mark, Receipt, Start, metrics_digest
from store import tables
from store.database import Database
from store.errors import NoReceipt, NotFound
from store.lifecycle import Kind

job, event, metric, dataset = tables.job, tables.event, tables.metric, tables.dataset


def read_receipt(database: Database, tenant: str, job_id: str) -> Receipt:
    """The receipt of a job as it stands; raises NotFound, and NoReceipt where the job is no training."""
    with database.reading() as connection:
        # On PostgreSQL each statement sees its own moment: nothing beyond the row's own is told.
        row = connection.execute(select(job).where(job.c.tenant_id == tenant, job.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFound("job", job_id)
        if row.kind != Kind.TRAIN:
            raise NoReceipt(job_id, row.status)
        marks = _marks(connection, job_id, row.last_event)
        query = select(metric.c.epoch, metric.c.measurements).where(
            metric.c.job_id == job_id, metric.c.epoch <= row.epoch
        )
        rows = [{"epoch": found.epoch, **found.measurements} for found in connection.execute(query.order_by("epoch"))]
        model_digest = connection.scalar(select(tables.model.c.digest).where(tables.model.c.id == row.model_id))
        data = _data(connection, row.dataset_id)
        validation = _data(connection, row.validation_dataset_id) if row.validation_dataset_id else None
    return Receipt(
        job=row.id,
        name=row.name,
        status=row.status,
        status_reason=row.status_reason,
        spec=row.spec,
        spec_version=row.spec_version,
        seed=row.spec["seed"],
        dataset=data,
        validation_dataset=validation,
        start=Start(checkpoint=_origin(row.spec), content=row.start_blob) if row.start_blob else None,
        nudge=row.fingerprint and row.fingerprint["nudge"],
        fingerprint=row.fingerprint,
        bit_exact=row.bit_exact,
        bit_exact_reason=row.bit_exact_reason,
        checkpoints=marks,
        epochs=row.epoch,
        metrics_digest=metrics_digest(rows),
        model=row.model_id,
        model_digest=model_digest,
        created_at=row.created_at,
        finished_at=row.finished_at,
    ).sealed()


def _origin(spec: dict[str, Any]) -> str:
    origin: str = spec["from_checkpoint"] or spec["from_weights"]
    return origin


def start_of(database: Database, tenant: str, job_id: str) -> str:
    """The blob of what a job began with, which is kept as long as the job is; raises NotFound."""
    query = select(job.c.start_blob).where(job.c.tenant_id == tenant, job.c.id == job_id)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("job", job_id)
    if row.start_blob is None:
        raise NotFound("checkpoint or file of weights that it began with, for", job_id)
    blob: str = row.start_blob
    return blob


def _marks(connection: Connection, job_id: str, last_event: int) -> list[Mark]:
    """Every checkpoint that was told of; where bytes were damaged and made again, the last ones."""
    told_of = event.c.job_id == job_id, event.c.type == "checkpoint", event.c.number <= last_event
    query = select(event.c.data).where(*told_of).order_by(event.c.number)
    found = {(told["epoch"], told.get("step", 0)): told["digest"] for told in connection.scalars(query)}
    return [Mark(epoch=epoch, step=step, digest=found[epoch, step]) for epoch, step in sorted(found)]


def _data(connection: Connection, dataset_id: str) -> Data:
    row: Any = connection.execute(select(dataset).where(dataset.c.id == dataset_id)).one_or_none()
    if row is None:  # deleted a moment ago, after its job
        raise NotFound("dataset", dataset_id)
    return Data(id=row.id, name=row.name, version=row.version, digest=row.digest, rows=row.shape["rows"])
