"""Bytes come back as they were, once each, and damage is noticed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from store import blobs, tables
from store.blobs import Blobs
from store.errors import BlobDamaged
from tests.store.conftest import TENANT, Store


@pytest.mark.parametrize("size", [0, 1, blobs.SMALL, blobs.SMALL + 1, 3 * blobs.SMALL])
def test_bytes_come_back(store: Store, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    digest = store.blobs.put(data)
    assert store.blobs.put(data) == digest
    assert store.blobs.get(digest) == data
    assert store.blobs.path(digest).read_bytes() == data


def test_unknown_and_damaged_bytes_are_told_apart_from_good_ones(store: Store) -> None:
    with pytest.raises(BlobDamaged, match="no row names them"):
        store.blobs.get("sha256:" + "0" * 64)
    digest = store.blobs.put(b"x" * (blobs.SMALL + 1))
    path = store.blobs.path(digest)
    path.write_bytes(b"y" * (blobs.SMALL + 1))
    with pytest.raises(BlobDamaged, match="do not have this digest"):
        store.blobs.get(digest)
    path.unlink()
    with pytest.raises(BlobDamaged, match="missing"):
        store.blobs.get(digest)


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
    with store.database.transaction() as connection:
        past = datetime.now(UTC) - timedelta(hours=2)
        connection.execute(update(tables.blob).where(tables.blob.c.digest != fresh).values(touched_at=past))
    assert store.blobs.collect() == 1
    assert not path.exists()
    assert store.blobs.get(fresh) == b"fresh"
    assert all(store.blobs.path(digest).exists() for digest in named)


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
