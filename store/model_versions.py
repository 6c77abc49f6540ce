"""The versions of a model's name: never given twice, with their aliases, under one lock."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, func, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from store import clock, tables
from store.ids import new_id
from store.records import ModelRecord, model_record

model, model_name, model_alias = tables.model, tables.model_name, tables.model_alias


def hold_name(connection: Connection, tenant: str, name: str, more: int = 0) -> int:
    """Hold a name until the transaction ends, and count `more` versions further; gives the newest one's number.

    Whoever adds, changes or deletes a version, or moves an alias, holds the name first. The number of a deleted version
    is not given again, so that `name@3` never means another model than before.
    """
    here = (model.c.tenant_id == tenant, model.c.name == name)
    newest = select(func.coalesce(func.max(model.c.version), 0)).where(*here).scalar_subquery()
    # A version that was added without being counted, by a process of an older release, counts too.
    counted = case((model_name.c.last_version > newest, model_name.c.last_version), else_=newest)
    dialect = sqlite_dialect if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(model_name).values(tenant_id=tenant, name=name, last_version=newest + more)
    held = statement.on_conflict_do_update(
        index_elements=["tenant_id", "name"], set_={"last_version": counted + more}
    ).returning(model_name.c.last_version)
    return int(connection.execute(held).scalar_one())


def insert_model(connection: Connection, job_row: Any, found: Any, name: str, notes: str = "") -> str:
    """A new version of the model `name` from a checkpoint's row; gives its id."""
    dataset = connection.execute(select(tables.dataset.c.digest).where(tables.dataset.c.id == job_row.dataset_id)).one()
    model_id = new_id("model")
    connection.execute(
        insert(model).values(
            id=model_id,
            tenant_id=job_row.tenant_id,
            name=name,
            version=hold_name(connection, job_row.tenant_id, name, 1),
            job_id=job_row.id,
            checkpoint_id=found.id,
            dataset_id=job_row.dataset_id,
            dataset_digest=dataset.digest,
            digest=found.digest,
            spec=job_row.spec,
            spec_version=job_row.spec_version,
            metrics=found.metrics,
            notes=notes,
            blob=found.blob,
            size=found.size,
            created_at=clock.now(),
        )
    )
    return model_id


def with_aliases(connection: Connection, tenant: str, rows: Sequence[Any]) -> list[ModelRecord]:
    """Rows of the model table as records, with the aliases that point at them."""
    names = {row.name for row in rows}
    query = select(model_alias).where(model_alias.c.tenant_id == tenant, model_alias.c.name.in_(names))
    aliases: dict[tuple[str, int], list[str]] = {}
    for alias in connection.execute(query.order_by(model_alias.c.alias)):
        aliases.setdefault((alias.name, alias.version), []).append(alias.alias)
    return [model_record(row, tuple(aliases.get((row.name, row.version), ()))) for row in rows]
