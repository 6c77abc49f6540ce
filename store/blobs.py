"""Bytes by their SHA-256: small ones in the database, large ones at an fsspec address, written whole or not at all."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from sqlalchemy import delete, select, text, union_all
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from store import clock, tables
from store.crash_points import reach
from store.database import Database
from store.errors import BlobDamaged, Unavailable

SMALL = 128 * 1024
CHUNK = 4 * 1024 * 1024
GRACE_S = 3600.0  # how long bytes may wait for the row that will name them


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def files_must_be(done: str) -> Iterator[None]:
    """A full disk, a read-only folder, a lost volume: the same call may succeed later."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the bytes could not be {done}: {error.strerror or error}") from error


class Blobs:
    """Content-addressed bytes. `cache` is a folder for copies of large blobs that lie on another machine."""

    def __init__(self, database: Database, url: str, cache: Path) -> None:
        self.database = database
        self.url = url.rstrip("/")
        self.cache = cache

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        filesystem, root = fsspec.url_to_fs(self.url)
        return filesystem, root

    @cached_property
    def _folder(self) -> Path | None:
        """The blobs' folder where the address is a local one: no copy is needed to map its files."""
        return Path(self.url.removeprefix("file://")) if self.url.startswith("file://") else None

    def put(self, data: bytes) -> str:
        """Keep bytes; gives their digest. Raises Unavailable when they cannot be stored."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if len(data) <= SMALL:
            self._touch(digest, len(data), data)
            return digest
        self._touch(digest, len(data), None)
        with files_must_be("stored"), tempfile.NamedTemporaryFile(dir=self._scratch()) as file:
            file.write(data)
            file.flush()
            self._publish(Path(file.name), digest)
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a file's bytes, always as a file, so that it can be mapped; gives their digest.

        Raises:
            Unavailable: they cannot be stored.
        """
        with files_must_be("stored"):
            digest = _digest_of(path)
            self._touch(digest, path.stat().st_size, None)
            self._publish(path, digest)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of a digest, verified. Raises BlobDamaged when they are missing or other bytes."""
        with self.database.reading() as connection:
            query = select(tables.blob.c.content).where(tables.blob.c.digest == digest)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise BlobDamaged(digest, "no row names them")
        data = row.content if row.content is not None else self._read(digest)
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            raise BlobDamaged(digest, "the bytes do not have this digest")
        return bytes(data)

    def path(self, digest: str) -> Path:
        """A local file with the bytes of a digest, to be mapped read-only; copied and verified once if far away.

        Raises:
            BlobDamaged: they are missing or other bytes.
            Unavailable: they cannot be read or copied now.
        """
        with files_must_be("copied"):
            return self._local(digest)

    def verified(self, digest: str) -> Path:
        """`path`, once all of its bytes were read and found whole; raises what `path` does."""
        path = self.path(digest)
        with files_must_be("read"):
            if _digest_of(path) == digest:
                return path
            if path != self.cache / _place(digest):
                raise BlobDamaged(digest, "the bytes do not have this digest")
            path.unlink(missing_ok=True)
        return self.path(digest)  # only the copy was damaged, and is made anew

    def _local(self, digest: str) -> Path:
        if self._folder is not None and (local := self._folder / _place(digest)).exists():
            return local
        cached = self.cache / _place(digest)
        if cached.exists():
            os.utime(cached)
            return cached
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_name(f"{cached.name}.{secrets.token_hex(4)}.part")
        try:
            with partial.open("wb") as target:
                target.write(self.get(digest))
            partial.replace(cached)
        finally:
            partial.unlink(missing_ok=True)
        return cached

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A new empty file beside the blobs, to be filled and put, and gone in the end; what a process that was killed
        leaves of it is collected. Raises Unavailable when it cannot be made."""
        with files_must_be("stored"):
            handle, name = tempfile.mkstemp(dir=self._scratch())
            os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def collect(self, limit: int = 100, grace_s: float = GRACE_S) -> int:
        """Delete up to `limit` blobs that nothing names and nobody touched for `grace_s`; gives how many went.

        What a process that was killed left half-written goes with them.
        """
        named = union_all(
            select(tables.dataset_array.c.blob),
            select(tables.checkpoint.c.blob),
            select(tables.part.c.blob),
            select(tables.predictions.c.blob),
            select(tables.mark.c.blob),
            select(tables.descent.c.blob),
            select(tables.model.c.blob),
            select(tables.weights.c.blob),
            select(tables.job.c.start_blob).where(tables.job.c.start_blob.is_not(None)),
        ).subquery()
        old = clock.now() - timedelta(seconds=grace_s)
        with self.database.transaction("collect") as connection:
            query = (
                select(tables.blob.c.digest)
                .where(tables.blob.c.touched_at < old, tables.blob.c.digest.not_in(select(named.c.blob)))
                .limit(limit)
            )
            digests = list(connection.scalars(query))
            # Bytes that are put again at this very moment have a newer date by now and stay: only what the DELETE
            # itself names is gone. Rows first, files while their rows are locked: whoever puts the same bytes from
            # now on waits for the commit, and then writes the file anew.
            gone = delete(tables.blob).where(tables.blob.c.digest.in_(digests), tables.blob.c.touched_at < old)
            collected = list(connection.scalars(gone.returning(tables.blob.c.digest)))
            reach("collect.before_files")
            with files_must_be("deleted"):
                for digest in collected:
                    # Raises where the lock is lost, as that of a frozen process is: the bytes may be wanted again.
                    connection.execute(text("SELECT 1"))
                    self._remove(digest)
        with files_must_be("deleted"):
            for left in self._scratch().iterdir():
                with suppress(FileNotFoundError):
                    if left.stat().st_mtime < old.timestamp():
                        left.unlink()
        return len(collected)

    def _remove(self, digest: str) -> None:
        filesystem, root = self._remote
        with suppress(FileNotFoundError):
            filesystem.rm_file(f"{root}/{_place(digest)}")
        (self.cache / _place(digest)).unlink(missing_ok=True)

    def _touch(self, digest: str, size: int, content: bytes | None) -> None:
        dialect = sqlite_dialect if self.database.is_sqlite else postgresql
        now = clock.now()
        statement = dialect.insert(tables.blob).values(digest=digest, size=size, content=content, touched_at=now)
        changes = {"touched_at": now} if content is None else {"touched_at": now, "content": content}
        with self.database.transaction("blob") as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=changes))

    def _scratch(self) -> Path:
        """A folder on the blobs' own file system, so that publishing is one rename."""
        folder = (self._folder or self.cache) / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _publish(self, source: Path, digest: str) -> None:
        """Put a whole file in its place: written aside, synced, renamed, and the folder synced."""
        filesystem, root = self._remote
        place = f"{root}/{_place(digest)}"
        if filesystem.exists(place) and _has_digest(filesystem, place, digest):
            return  # damaged bytes are replaced
        if self._folder is None:
            filesystem.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
            filesystem.put_file(str(source), place)
            return
        target = self._folder / _place(digest)
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(self._folder)  # else a loss of power could take the new folder, and the file in it
        partial = self._scratch() / f"{target.name}.{secrets.token_hex(4)}"
        try:
            shutil.copyfile(source, partial)
            reach("blob.copied")
            _sync(partial)
            reach("blob.synced")
            partial.replace(target)
            reach("blob.renamed")
            _sync(target.parent)
        finally:
            partial.unlink(missing_ok=True)

    def _read(self, digest: str) -> bytes:
        filesystem, root = self._remote
        with files_must_be("read"):
            try:
                return bytes(filesystem.cat_file(f"{root}/{_place(digest)}"))
            except FileNotFoundError as error:
                if not filesystem.exists(root):
                    raise Unavailable(f"the blobs' folder {root} is missing") from error
                raise BlobDamaged(digest, "the file is missing") from error


def _has_digest(filesystem: Any, place: str, digest: str) -> bool:
    with filesystem.open(place, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest() == digest


def _place(digest: str) -> str:
    """`sha256:abcd...` lies at `ab/abcd...`."""
    name = digest.removeprefix("sha256:")
    return f"{name[:2]}/{name}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
