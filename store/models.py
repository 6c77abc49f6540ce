"""Models: trained networks by name and version, with their lineage and notes."""

from collections.abc import Callable

from sqlalchemy import Connection, String, cast, delete, select, update

from store import tables
from store.blobs import Blobs
from store.database import Database
from store.errors import InUse, NotFound
from store.model_versions import hold_name, insert_model, with_aliases
from store.pages import Page, read_page
from store.records import ModelRecord

model, model_alias = tables.model, tables.model_alias

# Told what is there just before it is changed, when nobody else can change it any more; raises to leave it so.
Look = Callable[[ModelRecord], None]


def any_model(_: ModelRecord) -> None:
    """Whatever is there may be changed."""


class Models:
    """The models of every tenant."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.database = database
        self.blobs = blobs

    def add(self, tenant: str, checkpoint_id: str, name: str, notes: str = "") -> ModelRecord:
        """Make the next version of the model `name` from any checkpoint."""
        checkpoint, job = tables.checkpoint, tables.job
        query = select(checkpoint).where(checkpoint.c.tenant_id == tenant, checkpoint.c.id == checkpoint_id)
        with self.database.transaction() as connection:
            found = connection.execute(query).one_or_none()
            if found is None:
                raise NotFound("checkpoint", checkpoint_id)
            job_row = connection.execute(select(job).where(job.c.id == found.job_id)).one()
            model_id = insert_model(connection, job_row, found, name, notes)
            return self._get(connection, tenant, model_id)

    def get(self, tenant: str, model_id: str) -> ModelRecord:
        """One model; raises NotFound."""
        with self.database.reading() as connection:
            return self._get(connection, tenant, model_id)

    def resolve(self, tenant: str, name: str, version: str | None = None) -> ModelRecord:
        """The newest model of a name, or that of a version, which is a number or an alias; raises NotFound."""
        query = select(model).where(model.c.tenant_id == tenant, model.c.name == name)
        if version is None:
            query = query.order_by(model.c.version.desc()).limit(1)
        elif version.isdecimal():
            # As text, since a number may be larger than the column's.
            query = query.where(cast(model.c.version, String) == version)
        else:
            alias = model_alias.c
            pointed = select(alias.version).where(alias.tenant_id == tenant, alias.name == name, alias.alias == version)
            query = query.where(model.c.version == pointed.scalar_subquery())
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotFound("model", name if version is None else f"{name}@{version}")
            return with_aliases(connection, tenant, [row])[0]

    def _get(self, connection: Connection, tenant: str, model_id: str) -> ModelRecord:
        query = select(model).where(model.c.tenant_id == tenant, model.c.id == model_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("model", model_id)
        return with_aliases(connection, tenant, [row])[0]

    def versions(self, tenant: str, name: str) -> list[int]:
        """The versions of a name that there are, oldest first."""
        query = select(model.c.version).where(model.c.tenant_id == tenant, model.c.name == name)
        with self.database.reading() as connection:
            return list(connection.execute(query.order_by(model.c.version)).scalars())

    def page(self, tenant: str, limit: int, cursor: str | None, name: str | None = None) -> Page[ModelRecord]:
        """A page of models, newest first."""
        query = select(model).where(model.c.tenant_id == tenant)
        if name is not None:
            query = query.where(model.c.name == name)
        with self.database.reading() as connection:
            rows, following = read_page(connection, query, model.c.created_at, model.c.id, limit, cursor)
            return Page(with_aliases(connection, tenant, rows), following)

    def annotate(self, tenant: str, model_id: str, notes: str, look: Look = any_model) -> ModelRecord:
        """Write a model's notes anew; raises NotFound."""
        here = (model.c.tenant_id == tenant, model.c.id == model_id)
        with self.database.transaction() as connection:
            hold_name(connection, tenant, self._get(connection, tenant, model_id).name)
            look(self._get(connection, tenant, model_id))
            connection.execute(update(model).where(*here).values(notes=notes))
            return self._get(connection, tenant, model_id)

    def delete(self, tenant: str, model_id: str, look: Look = any_model) -> None:
        """Delete a model; raises NotFound, and InUse while an alias points at it."""
        with self.database.transaction() as connection:
            hold_name(connection, tenant, self._get(connection, tenant, model_id).name)
            record = self._get(connection, tenant, model_id)  # as it stands now that nobody can point at it
            if record.aliases:
                alias = f"the alias {record.aliases[0]!r} of {record.name!r}"
                raise InUse(f"Model {model_id}", alias, "remove the alias first, or point it at another version")
            look(record)
            connection.execute(delete(model).where(model.c.id == model_id))

    def load(self, record: ModelRecord) -> bytes:
        """The model's bytes: a checkpoint as core writes it."""
        return self.blobs.get(record.blob)
