"""Aliases: words that point at one version of a model's name, and are moved by whoever knows where they point."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from store import clock, tables
from store.database import Database
from store.errors import NotFound
from store.model_versions import hold_name, with_aliases
from store.pages import Page, read_page
from store.records import AliasRecord, ModelRecord, alias_record

model, model_alias = tables.model, tables.model_alias

# Told what is there just before it is changed, when nobody else can change it any more; raises to leave it so.
Look = Callable[[AliasRecord | None], None]


def any_alias(_: AliasRecord | None) -> None:
    """Whatever is there may be changed."""


class Aliases:
    """The aliases of every tenant."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def page(self, tenant: str, name: str, limit: int, cursor: str | None) -> Page[AliasRecord]:
        """A page of the aliases of a name, the one that was moved last first; raises NotFound for an unknown name."""
        # Pages go by (created_at, id).
        moved, word = model_alias.c.updated_at, model_alias.c.alias
        query = _aliases(tenant, name).add_columns(moved.label("created_at"), word.label("id"))
        with self.database.reading() as connection:
            rows, following = read_page(connection, query, moved, word, limit, cursor)
            if not rows and cursor is None:
                known = select(model.c.id).where(model.c.tenant_id == tenant, model.c.name == name).limit(1)
                if connection.execute(known).first() is None:
                    raise NotFound("model", name)
        return Page([alias_record(row) for row in rows], following)

    def get(self, tenant: str, name: str, alias: str) -> AliasRecord:
        """One alias; raises NotFound."""
        with self.database.reading() as connection:
            return _there(_find(connection, tenant, name, alias), name, alias)

    def set(
        self, tenant: str, name: str, alias: str, version: int, look: Look = any_alias
    ) -> tuple[ModelRecord, AliasRecord]:
        """Point an alias at a version of a name; raises NotFound when there is no such version."""
        dialect = sqlite_dialect if self.database.is_sqlite else postgresql
        changes = {"version": version, "updated_at": clock.now()}
        statement = dialect.insert(model_alias).values(tenant_id=tenant, name=name, alias=alias, **changes)
        target = select(model).where(model.c.tenant_id == tenant, model.c.name == name, model.c.version == version)
        with self.database.transaction() as connection:
            hold_name(connection, tenant, name)
            row = connection.execute(target).one_or_none()
            if row is None:
                raise NotFound("model", f"{name}@{version}")
            look(_find(connection, tenant, name, alias))
            connection.execute(
                statement.on_conflict_do_update(index_elements=["tenant_id", "name", "alias"], set_=changes)
            )
            [record] = with_aliases(connection, tenant, [row])
            return record, _there(_find(connection, tenant, name, alias), name, alias)

    def remove(self, tenant: str, name: str, alias: str, look: Look = any_alias) -> None:
        """Remove an alias; raises NotFound."""
        table = model_alias.c
        with self.database.transaction() as connection:
            hold_name(connection, tenant, name)
            look(_there(_find(connection, tenant, name, alias), name, alias))
            connection.execute(
                delete(model_alias).where(table.tenant_id == tenant, table.name == name, table.alias == alias)
            )


def _aliases(tenant: str, name: str) -> Any:
    same = (
        (model.c.tenant_id == model_alias.c.tenant_id)
        & (model.c.name == model_alias.c.name)
        & (model.c.version == model_alias.c.version)
    )
    query = select(model_alias, model.c.id.label("model_id")).join(model, same)
    return query.where(model_alias.c.tenant_id == tenant, model_alias.c.name == name)


def _find(connection: Connection, tenant: str, name: str, alias: str) -> AliasRecord | None:
    row = connection.execute(_aliases(tenant, name).where(model_alias.c.alias == alias)).one_or_none()
    return None if row is None else alias_record(row)


def _there(found: AliasRecord | None, name: str, alias: str) -> AliasRecord:
    if found is None:
        raise NotFound(f"alias of {name}", alias)
    return found
