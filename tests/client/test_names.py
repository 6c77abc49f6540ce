from pathlib import Path

import pytest

from client.datasets import name_of


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("digits-images.idx3-ubyte.gz", "digits"),
        ("train-images-idx3-ubyte.gz", "train"),
        ("t10k-images-idx3-ubyte", "t10k"),
        ("iris.csv", "iris"),
        ("my data (1).CSV", "my-data-1-"),
        ("a.b.npz", "a.b"),
        ("wine_x.npy", "wine"),
        ("images.npz", "images"),
        ("x.npy", "x"),
        (".csv", "data"),
        ("日本.csv", "data"),
        ("ds_1.csv", "data"),
        ("a" * 99 + ".csv", "a" * 64),
        ("README", "README"),
    ],
)
def test_a_dataset_is_named_after_its_file(file: str, name: str) -> None:
    assert name_of(Path(file)) == name
