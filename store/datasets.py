"""Datasets: added once, never changed, opened as memory-mapped arrays."""

import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.exc import IntegrityError

from core import data
from core.schema import DataSchema
from store import clock, tables
from store.blobs import Blobs, files_must_be
from store.database import Database
from store.errors import InUse, NotFound, Unavailable
from store.ids import new_id
from store.lifecycle import OVER
from store.pages import Page, read_page

SCHEMA_FILE = "schema.json"
SHAPE_VERSION = 1


@dataclass(frozen=True)
class DatasetRecord:
    """A row of the dataset table. `size` counts the bytes of its arrays."""

    id: str
    name: str
    version: int
    digest: str
    schema: DataSchema
    size: int
    created_at: datetime


def _record(row: Any) -> DatasetRecord:
    schema = DataSchema.model_validate(row.shape)
    return DatasetRecord(row.id, row.name, row.version, row.digest, schema, row.size, row.created_at)


class Datasets:
    """The datasets of every tenant."""

    def __init__(self, database: Database, blobs: Blobs, cache: Path | None = None) -> None:
        self.database = database
        self.blobs = blobs
        self.cache = cache or blobs.cache

    def add(self, tenant: str, name: str, folder: Path, schema: DataSchema) -> DatasetRecord:
        """Keep the arrays of `folder` (as core.readers writes it) under a name, as its next version."""
        files = sorted(path for path in folder.rglob("*.npy"))
        digest = data.digest(folder)
        size = sum(path.stat().st_size for path in files)
        stored = {str(path.relative_to(folder)): self.blobs.put_file(path) for path in files}
        for _ in range(8):  # two uploads of one name may take the same version; the later one takes the next
            try:
                return self._insert(tenant, name, digest, schema, size, stored)
            except IntegrityError:
                continue
        raise Unavailable(f"many datasets named {name!r} are being added at once")

    def _insert(
        self, tenant: str, name: str, digest: str, schema: DataSchema, size: int, stored: dict[str, str]
    ) -> DatasetRecord:
        table = tables.dataset
        record_id, now = new_id("dataset"), clock.now()
        with self.database.transaction() as connection:
            newest = select(func.max(table.c.version)).where(table.c.tenant_id == tenant, table.c.name == name)
            version = (connection.scalar(newest) or 0) + 1
            connection.execute(
                table.insert().values(
                    id=record_id,
                    tenant_id=tenant,
                    name=name,
                    version=version,
                    digest=digest,
                    shape=schema.model_dump(mode="json"),
                    shape_version=SHAPE_VERSION,
                    size=size,
                    created_at=now,
                )
            )
            connection.execute(
                tables.dataset_array.insert(),
                [
                    {"dataset_id": record_id, "path": path, "tenant_id": tenant, "blob": blob}
                    for path, blob in stored.items()
                ],
            )
        return DatasetRecord(record_id, name, version, digest, schema, size, now)

    def get(self, tenant: str, dataset_id: str) -> DatasetRecord:
        """One dataset; raises NotFound."""
        return self.get_all(tenant, [dataset_id])[0]

    def get_all(self, tenant: str, ids: Sequence[str]) -> list[DatasetRecord]:
        """Several datasets in one query, in the order asked for; raises NotFound for the first that is missing."""
        table = tables.dataset
        with self.database.reading() as connection:
            query = select(table).where(table.c.tenant_id == tenant, table.c.id.in_(ids))
            found = {row.id: _record(row) for row in connection.execute(query)}
        for dataset_id in ids:
            if dataset_id not in found:
                raise NotFound("dataset", dataset_id)
        return [found[dataset_id] for dataset_id in ids]

    def page(self, tenant: str, limit: int, cursor: str | None, name: str | None = None) -> Page[DatasetRecord]:
        """A page of datasets, newest first."""
        table = tables.dataset
        query = select(table).where(table.c.tenant_id == tenant)
        if name is not None:
            query = query.where(table.c.name == name)
        with self.database.reading() as connection:
            rows, following = read_page(connection, query, table.c.created_at, table.c.id, limit, cursor)
        return Page([_record(row) for row in rows], following)

    def delete(self, tenant: str, dataset_id: str) -> None:
        """Delete a dataset; raises InUse while a job that is not over, or any job's row, needs it."""
        self.get(tenant, dataset_id)
        job = tables.job
        users = or_(job.c.dataset_id == dataset_id, job.c.validation_dataset_id == dataset_id)
        with self.database.transaction() as connection:
            # Locked: a job that is being submitted is seen, and none can be submitted until the dataset is gone.
            connection.execute(select(tables.dataset.c.id).where(tables.dataset.c.id == dataset_id).with_for_update())
            row = connection.execute(select(job.c.id, job.c.status).where(users).limit(1)).first()
            if row is not None:
                over = " (over)" if row.status in OVER else ""
                way_out = (
                    "delete that job first" if over else "wait until it is over, or cancel it, and delete it first"
                )
                raise InUse(f"Dataset {dataset_id}", f"job {row.id}{over}", way_out)
            connection.execute(delete(tables.dataset).where(tables.dataset.c.id == dataset_id))

    def folder(self, record: DatasetRecord) -> Path:
        """A local folder as core.data.Dataset.open reads it: links to blobs, no copies where blobs are local.

        Raises:
            BlobDamaged: an array is missing or other bytes.
            Unavailable: the folder, or the local copy of an array, cannot be made now.
        """
        with files_must_be("linked"):
            return self._linked(record)

    def _linked(self, record: DatasetRecord) -> Path:
        folder = self.cache / "datasets" / record.id
        if (folder / SCHEMA_FILE).exists():
            if all(array.exists() for array in folder.rglob("*.npy")):
                return folder
            _remove(folder)  # its links lead nowhere: local copies of the blobs were collected, or their folder moved
        table = tables.dataset_array
        with self.database.reading() as connection:
            query = select(table.c.path, table.c.blob).where(table.c.dataset_id == record.id)
            arrays = list(connection.execute(query))
        partial = folder.with_name(f"{record.id}.{secrets.token_hex(4)}.part")
        try:
            for path, blob in arrays:
                place = partial / path
                place.parent.mkdir(parents=True, exist_ok=True)
                os.symlink(self.blobs.path(blob).absolute(), place)
            partial.mkdir(parents=True, exist_ok=True)
            (partial / SCHEMA_FILE).write_text(record.schema.model_dump_json())
            try:
                partial.rename(folder)
            except OSError:
                if not (folder / SCHEMA_FILE).exists():  # another process was not faster: a real error
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder

    def open(self, record: DatasetRecord) -> data.Dataset:
        """The dataset's arrays, memory-mapped read-only."""
        return data.Dataset.open(self.folder(record))


def _remove(folder: Path) -> None:
    """Remove a folder that other processes may be looking at: gone in one step, whoever comes first."""
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.stale")
    with suppress(FileNotFoundError):
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
