"""A new version of a model, from a checkpoint and the job that made it."""

from typing import Any

from sqlalchemy import Connection, func, insert, select

from store import clock, tables
from store.ids import new_id


def insert_model(connection: Connection, job_row: Any, found: Any, name: str) -> str:
    """A new version of the model `name` from a checkpoint's row; gives its id."""
    model = tables.model
    newest = select(func.max(model.c.version)).where(model.c.tenant_id == job_row.tenant_id, model.c.name == name)
    dataset = connection.execute(select(tables.dataset.c.digest).where(tables.dataset.c.id == job_row.dataset_id)).one()
    model_id = new_id("model")
    connection.execute(
        insert(model).values(
            id=model_id,
            tenant_id=job_row.tenant_id,
            name=name,
            version=(connection.scalar(newest) or 0) + 1,
            job_id=job_row.id,
            checkpoint_id=found.id,
            dataset_id=job_row.dataset_id,
            dataset_digest=dataset.digest,
            digest=found.digest,
            spec=job_row.spec,
            spec_version=job_row.spec_version,
            metrics=found.metrics,
            blob=found.blob,
            size=found.size,
            created_at=clock.now(),
        )
    )
    return model_id
