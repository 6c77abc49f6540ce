import gzip
import os
import time
from pathlib import Path

import numpy as np
import pytest

from core.data import Dataset, digest
from core.readers import read

ROOT = Path(__file__).parents[3]
MNIST = Path(os.environ.get("NUDGE_MNIST", ROOT / "../shared/data/mnist"))


def test_the_digits_are_images_of_ten_classes_with_known_counts(tmp_path: Path):
    files = {
        "images": ROOT / "samples/digits-images.idx3-ubyte.gz",
        "labels": ROOT / "samples/digits-labels.idx1-ubyte.gz",
    }
    schema = read(files, tmp_path)
    data = Dataset.open(tmp_path)
    assert schema.rows == 1797
    assert schema.input_shape == (8, 8)
    assert schema.input_dtype == "uint8"
    assert schema.target.classes == tuple(range(10))
    # the counts of UCI's own description
    assert np.bincount(data.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert set(np.unique(data.x)) == {(16 * i * 255 + 128) // 256 for i in range(17)}


def test_iris_has_three_named_classes(tmp_path: Path):
    schema = read({"file": ROOT / "samples/iris.csv"}, tmp_path)
    assert schema.rows == 150
    assert schema.target.classes == ("setosa", "versicolor", "virginica")
    assert np.bincount(Dataset.open(tmp_path).y).tolist() == [50, 50, 50]
    assert [column.name for column in schema.columns][-1] == "label"


@pytest.mark.parametrize(("part", "rows"), [("train", 60_000), ("t10k", 10_000)])
def test_mnist_comes_back_byte_for_byte(part: str, rows: int, tmp_path: Path):
    if not MNIST.is_dir():
        pytest.fail(f"MNIST's four files are not in {MNIST}: set NUDGE_MNIST to their folder.")
    images, labels = MNIST / f"{part}-images-idx3-ubyte.gz", MNIST / f"{part}-labels-idx1-ubyte.gz"
    begin = time.perf_counter()
    schema = read({"images": images, "labels": labels}, tmp_path)
    seconds = time.perf_counter() - begin
    data = Dataset.open(tmp_path)
    assert (schema.rows, schema.input_shape, schema.input_dtype) == (rows, (28, 28), "uint8")
    assert schema.target.classes == tuple(range(10))
    assert data.x.tobytes() == gzip.decompress(images.read_bytes())[16:]
    assert data.y.astype(np.uint8).tobytes() == gzip.decompress(labels.read_bytes())[8:]
    assert seconds < 3


def test_packed_or_not_the_dataset_is_the_same(tmp_path: Path):
    digests = set()
    for unpack in (False, True):
        folder = tmp_path / str(unpack)
        folder.mkdir()
        files = {}
        for part, kind in (("images", 3), ("labels", 1)):
            content = (ROOT / f"samples/digits-{part}.idx{kind}-ubyte.gz").read_bytes()
            files[part] = tmp_path / part
            files[part].write_bytes(gzip.decompress(content) if unpack else content)
        read(files, folder)
        digests.add(digest(folder))
    assert len(digests) == 1
