"""Uploaded weights: kept once, named by jobs that begin with them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from store import clock, tables
from store.blobs import Blobs
from store.database import Database
from store.errors import NotFound
from store.ids import new_id
from store.pages import Page, read_page

weights = tables.weights


@dataclass(frozen=True)
class WeightsRecord:
    """A row of the weights table. `blob` is the digest of the safetensors file, `size` its bytes."""

    id: str
    tensors: list[dict[str, Any]]
    blob: str
    size: int
    created_at: datetime


def _record(row: Any) -> WeightsRecord:
    return WeightsRecord(row.id, row.tensors, row.blob, row.size, row.created_at)


class WeightSets:
    """The uploaded weights of every tenant."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.database = database
        self.blobs = blobs

    def add(self, tenant: str, file: Path, tensors: list[dict[str, Any]]) -> WeightsRecord:
        """Keep a file that `core.weight_files.read_weights` wrote, with what it said is in it."""
        size = file.stat().st_size
        row = WeightsRecord(new_id("weights"), tensors, self.blobs.put_file(file), size, clock.now())
        with self.database.transaction() as connection:
            connection.execute(weights.insert().values(tenant_id=tenant, **vars(row)))
        return row

    def get(self, tenant: str, weights_id: str) -> WeightsRecord:
        """Those of an id; raises NotFound."""
        query = select(weights).where(weights.c.tenant_id == tenant, weights.c.id == weights_id)
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("weights", weights_id)
        return _record(row)

    def page(self, tenant: str, limit: int, cursor: str | None) -> Page[WeightsRecord]:
        """A page of them, newest first."""
        query = select(weights).where(weights.c.tenant_id == tenant)
        with self.database.reading() as connection:
            rows, following = read_page(connection, query, weights.c.created_at, weights.c.id, limit, cursor)
        return Page([_record(row) for row in rows], following)

    def delete(self, tenant: str, weights_id: str) -> None:
        """Forget them; raises NotFound. Jobs that began with them keep the bytes."""
        statement = delete(weights).where(weights.c.tenant_id == tenant, weights.c.id == weights_id)
        with self.database.transaction() as connection:
            if connection.execute(statement).rowcount == 0:
                raise NotFound("weights", weights_id)
