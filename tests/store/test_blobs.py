"""Bytes come back as they were, once each, and damage is noticed."""

import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text, update

from store import blobs, tables
from store.blobs import Blobs
from store.database import Database
from store.errors import BlobDamaged, Unavailable
from store.migrate import migrate
from tests.infrastructure.processes import eventually
from tests.store.conftest import TENANT, Store

BIG = b"x" * (blobs.SMALL + 1)


@pytest.mark.parametrize("size", [0, 1, blobs.SMALL, blobs.SMALL + 1, 3 * blobs.SMALL])
def test_bytes_come_back(store: Store, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    digest = store.blobs.put(data)
    assert store.blobs.put(data) == digest
    assert store.blobs.get(digest) == data
    assert store.blobs.path(digest).read_bytes() == data
    assert store.blobs.verified(digest).read_bytes() == data


def test_unknown_and_damaged_bytes_are_told_apart_from_good_ones(store: Store) -> None:
    with pytest.raises(BlobDamaged, match="no row names them"):
        store.blobs.get("sha256:" + "0" * 64)
    digest = store.blobs.put(b"x" * (blobs.SMALL + 1))
    path = store.blobs.path(digest)
    path.write_bytes(b"y" * (blobs.SMALL + 1))
    for read in (store.blobs.get, store.blobs.verified):
        with pytest.raises(BlobDamaged, match="do not have this digest"):
            read(digest)
    path.unlink()
    for read in (store.blobs.get, store.blobs.verified):
        with pytest.raises(BlobDamaged, match="missing"):
            read(digest)


@pytest.mark.parametrize("size", [blobs.SMALL, blobs.SMALL + 1])
def test_a_damaged_copy_is_made_anew(store: Store, tmp_path: Path, size: int) -> None:
    far = Blobs(store.database, f"local://{tmp_path}/far", tmp_path / "copies")
    digest = far.put(b"x" * size)
    far.verified(digest).write_bytes(b"y" * size)
    assert far.verified(digest).read_bytes() == b"x" * size


def test_another_place_is_copied_once_to_be_mapped(store: Store, tmp_path: Path) -> None:
    elsewhere = Blobs(store.database, f"local://{tmp_path}/elsewhere", tmp_path / "copies")
    digest = elsewhere.put(b"z" * (blobs.SMALL + 1))
    path = elsewhere.path(digest)
    assert path.is_relative_to(tmp_path / "copies")
    assert path.read_bytes() == b"z" * (blobs.SMALL + 1)
    assert elsewhere.path(digest) == path


def test_only_old_bytes_that_nothing_names_are_collected(store: Store) -> None:
    fresh, old = store.blobs.put(b"fresh"), store.blobs.put(b"o" * (blobs.SMALL + 1))
    path = store.blobs.path(old)
    named = [row.blob for row in _rows(store)]
    _age(store.database, but=fresh)
    assert store.blobs.collect() == 1
    assert not path.exists()
    assert store.blobs.get(fresh) == b"fresh"
    assert all(store.blobs.path(digest).exists() for digest in named)


def _age(database: Database, but: str = "") -> None:
    past = datetime.now(UTC) - timedelta(hours=2)
    with database.transaction() as connection:
        connection.execute(update(tables.blob).where(tables.blob.c.digest != but).values(touched_at=past))


def test_bytes_that_are_put_again_while_they_are_collected_stay(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url)
    migrate(database)
    kept = Blobs(database, f"file://{tmp_path}/blobs", tmp_path / "cache")
    digest = kept.put(BIG)
    _age(database)
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as connection:
            connection.execute(update(tables.blob).values(touched_at=datetime.now(UTC)))
            collecting = pool.submit(kept.collect)
            eventually(lambda: connection.scalar(waits) > 0, 30, "it waits for our lock")
        assert collecting.result() == 0
    assert kept.get(digest) == BIG
    database.dispose()


def test_the_local_copy_of_far_bytes_is_collected_with_them(database: Database, tmp_path: Path) -> None:
    far = Blobs(database, "memory://collected", tmp_path / "copies")
    copy = far.path(far.put(BIG))
    _age(database)
    assert far.collect() == 1
    assert not copy.exists()


@pytest.mark.parametrize("address", ["file", "local"])
def test_bytes_that_were_damaged_are_whole_once_they_are_put_again(store: Store, tmp_path: Path, address: str) -> None:
    place = Blobs(store.database, f"{address}://{tmp_path}/healed", tmp_path / "copies")
    digest = place.put(BIG)
    (file,) = (path for path in (tmp_path / "healed").glob("??/*"))
    file.write_bytes(b"y" * len(BIG))
    with pytest.raises(BlobDamaged):
        place.get(digest)
    assert place.put(BIG) == digest
    assert place.get(digest) == BIG


def _write(to: Blobs, folder: Path) -> None:
    to.put(BIG)


def _write_file(to: Blobs, folder: Path) -> None:
    (folder / "upload").write_bytes(BIG)
    to.put_file(folder / "upload")


@pytest.mark.parametrize("write", [_write, _write_file])
@pytest.mark.parametrize("in_the_way", ["", "incoming"])
def test_a_folder_that_cannot_be_written_is_unavailable(
    store: Store, tmp_path: Path, write: Callable[[Blobs, Path], None], in_the_way: str
) -> None:
    root = tmp_path / "broken"
    if in_the_way:
        root.mkdir()
    (root / in_the_way).write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match=r"the bytes could not be stored: (File exists|Not a directory)"):
        write(Blobs(store.database, f"file://{root}", tmp_path / "copies"), tmp_path)


def test_a_disk_that_takes_no_more_is_unavailable(store: Store) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, limits[1]))
    try:
        with pytest.raises(Unavailable, match="the bytes could not be stored: File too large"):
            store.blobs.put(bytes(8 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_copy_that_cannot_be_made_is_unavailable(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copies").write_text("a file where a folder should be")
    far = Blobs(store.database, f"local://{tmp_path}/far", tmp_path / "copies")
    digest = store.blobs.put(b"small")
    with pytest.raises(Unavailable, match="the bytes could not be copied"):
        far.path(digest)


def test_a_volume_that_is_not_mounted_is_no_damage(store: Store) -> None:
    digest = store.blobs.put(BIG)
    root = store.folder / "blobs"
    root.rename(store.folder / "unmounted")
    for read in (store.blobs.get, store.blobs.path):
        with pytest.raises(Unavailable, match=r"folder .* is missing"):
            read(digest)
    (store.folder / "unmounted").rename(root)
    assert store.blobs.get(digest) == BIG


def _rows(store: Store) -> list:  # type: ignore[type-arg]
    with store.database.reading() as connection:
        return list(connection.execute(select(tables.dataset_array.c.blob)))


def test_a_dataset_opens_as_the_arrays_that_were_added(store: Store) -> None:
    dataset = store.datasets.open(store.datasets.get(TENANT, store.dataset.id))
    assert dataset.schema == store.dataset.schema
    np.testing.assert_array_equal(dataset.x, np.arange(8.0).reshape(4, 2))
    np.testing.assert_array_equal(dataset.y, [0, 1, 0, 1])


def test_equal_bytes_are_stored_once_and_names_have_versions(store: Store) -> None:
    again = store.add_dataset("points")
    assert (again.version, again.digest) == (2, store.dataset.digest)
    assert again.id != store.dataset.id
    files = [path for path in (store.folder / "blobs").rglob("*") if path.is_file()]
    assert len(files) == 2  # x.npy and y.npy
    assert store.add_dataset("points", rows=6).digest != store.dataset.digest
