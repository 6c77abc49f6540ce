"""Models: trained networks by name and version, with aliases and lineage."""

from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import IntegrityError

from store import clock, tables
from store.blobs import Blobs
from store.database import Database
from store.errors import InUse, NotFound, Unavailable
from store.model_versions import insert_model
from store.pages import Page, read_page
from store.records import ModelRecord, model_record

model, model_alias = tables.model, tables.model_alias


class Models:
    """The models of every tenant."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.database = database
        self.blobs = blobs

    def add(self, tenant: str, checkpoint_id: str, name: str) -> ModelRecord:
        """Make the next version of the model `name` from any checkpoint."""
        checkpoint, job = tables.checkpoint, tables.job
        for _ in range(8):  # two callers may take the same version; the later one takes the next
            try:
                with self.database.transaction() as connection:
                    query = select(checkpoint).where(checkpoint.c.tenant_id == tenant, checkpoint.c.id == checkpoint_id)
                    found = connection.execute(query).one_or_none()
                    if found is None:
                        raise NotFound("checkpoint", checkpoint_id)
                    job_row = connection.execute(select(job).where(job.c.id == found.job_id)).one()
                    model_id = insert_model(connection, job_row, found, name)
                    return self._get(connection, tenant, model_id)
            except IntegrityError:
                continue
        raise Unavailable(f"many models named {name!r} are being made at once")

    def get(self, tenant: str, model_id: str) -> ModelRecord:
        """One model; raises NotFound."""
        with self.database.reading() as connection:
            return self._get(connection, tenant, model_id)

    def _get(self, connection: Connection, tenant: str, model_id: str) -> ModelRecord:
        query = select(model).where(model.c.tenant_id == tenant, model.c.id == model_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("model", model_id)
        return self._with_aliases(connection, tenant, [row])[0]

    def _with_aliases(self, connection: Connection, tenant: str, rows: list[Any]) -> list[ModelRecord]:
        names = {row.name for row in rows}
        query = select(model_alias).where(model_alias.c.tenant_id == tenant, model_alias.c.name.in_(names))
        aliases: dict[tuple[str, int], list[str]] = {}
        for alias in connection.execute(query.order_by(model_alias.c.alias)):
            aliases.setdefault((alias.name, alias.version), []).append(alias.alias)
        return [model_record(row, tuple(aliases.get((row.name, row.version), ()))) for row in rows]

    def page(self, tenant: str, limit: int, cursor: str | None, name: str | None = None) -> Page[ModelRecord]:
        """A page of models, newest first."""
        query = select(model).where(model.c.tenant_id == tenant)
        if name is not None:
            query = query.where(model.c.name == name)
        with self.database.reading() as connection:
            rows, following = read_page(connection, query, model.c.created_at, model.c.id, limit, cursor)
            return Page(self._with_aliases(connection, tenant, rows), following)

    def set_alias(self, tenant: str, name: str, alias: str, version: int) -> ModelRecord:
        """Point an alias at a version of a name; raises NotFound when there is no such version."""
        query = select(model).where(model.c.tenant_id == tenant, model.c.name == name, model.c.version == version)
        dialect = sqlite_dialect if self.database.is_sqlite else postgresql
        changes = {"version": version, "updated_at": clock.now()}
        statement = dialect.insert(model_alias).values(tenant_id=tenant, name=name, alias=alias, **changes)
        with self.database.transaction() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotFound("model", f"{name} version {version}")
            connection.execute(
                statement.on_conflict_do_update(index_elements=["tenant_id", "name", "alias"], set_=changes)
            )
            return self._with_aliases(connection, tenant, [row])[0]

    def remove_alias(self, tenant: str, name: str, alias: str) -> None:
        """Remove an alias; raises NotFound."""
        table = model_alias.c
        statement = delete(model_alias).where(table.tenant_id == tenant, table.name == name, table.alias == alias)
        with self.database.transaction() as connection:
            if connection.execute(statement).rowcount == 0:
                raise NotFound("alias", f"{alias} of {name}")

    def delete(self, tenant: str, model_id: str) -> None:
        """Delete a model; raises InUse while an alias points at it."""
        with self.database.transaction() as connection:
            record = self._get(connection, tenant, model_id)
            if record.aliases:
                alias = f"the alias {record.aliases[0]!r} of {record.name!r}"
                raise InUse(f"Model {model_id}", alias, "remove the alias first")
            connection.execute(delete(model).where(model.c.id == model_id))

    def load(self, record: ModelRecord) -> bytes:
        """The model's bytes: a checkpoint as core writes it."""
        return self.blobs.get(record.blob)
