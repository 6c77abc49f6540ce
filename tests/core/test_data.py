"""Datasets, their digest and split, and preprocessing."""

import shutil

import numpy as np
import pytest

from core.batches import Batches
from core.data import Dataset, DatasetDamaged, digest, split, validation_rows
from core.preprocessing import Preprocessing, PreprocessingSpec
from core.schema import ClassTarget, Column, DataSchema, RealTarget


def test_a_folder_holds_a_dataset(classes, tmp_path):
    data = classes()
    data.save(tmp_path)
    back = Dataset.open(tmp_path)
    assert back.schema == data.schema
    assert np.array_equal(back.x, data.x)
    assert np.array_equal(back.y, data.y)
    assert not back.x.flags.owndata
    assert not back.x.flags.writeable


def test_a_view_is_saved_as_its_rows(reals, tmp_path):
    data = reals()
    data.view(np.array([5, 1])).save(tmp_path)
    assert np.array_equal(Dataset.open(tmp_path).x, data.x[[5, 1]])


def break_x(folder):
    (folder / "x.npy").write_bytes(b"nonsense")


def cut_y(folder):
    content = (folder / "y.npy").read_bytes()
    (folder / "y.npy").write_bytes(content[:-8])


def pickle_y(folder):
    np.save(folder / "y.npy", np.array([{}, {}], object), allow_pickle=True)


def other_shape(folder):
    np.save(folder / "x.npy", np.zeros((50, 3, 4), np.uint8))


def fewer_rows(folder):
    np.save(folder / "y.npy", np.zeros(49, np.int32))


@pytest.mark.parametrize("damage", [break_x, cut_y, pickle_y, other_shape, fewer_rows, shutil.rmtree])
def test_a_damaged_folder_is_refused(classes, tmp_path, damage):
    classes().save(tmp_path / "d")
    damage(tmp_path / "d")
    with pytest.raises(DatasetDamaged):
        Dataset.open(tmp_path / "d")


def test_the_digest_is_of_the_content(classes, tmp_path):
    data = classes()
    data.save(tmp_path / "a")
    named = data.schema.model_copy(update={"columns": (Column(name="n", role="feature"),)})
    Dataset(named, data.x, data.y).save(tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a").startswith("sha256:")
    assert len(digest(tmp_path / "a")) == 71

    x = data.x.copy()
    x[3, 2, 1] ^= 1
    y = data.y.copy()
    y[7] = (y[7] + 1) % 3
    other = data.schema.model_copy(update={"target": ClassTarget(classes=("ash", "elm", "yew"))})
    for n, changed in enumerate(
        [Dataset(data.schema, x, data.y), Dataset(data.schema, data.x, y), Dataset(other, data.x, data.y)]
    ):
        changed.save(tmp_path / str(n))
        assert digest(tmp_path / str(n)) != digest(tmp_path / "a")


def test_the_digest_covers_weights_groups_and_masks(classes, tmp_path):
    data = classes()
    digests = set()
    for name, role, values in (("w", "weight", 1.0), ("w", "weight", 2.0), ("v", "weight", 2.0), ("w", "group", 2.0)):
        folder = tmp_path / f"{name}-{role}-{values}"
        column = Column(name=name, role=role)
        Dataset(data.schema.model_copy(update={"columns": (column,)}), data.x, data.y).save(folder)
        (folder / "columns").mkdir()
        np.save(folder / "columns" / "0.npy", np.full(len(data), values))
        digests.add((name == "v", digest(folder)))
    assert len({found for _, found in digests}) == 3  # other values, another role; the name does not matter


@pytest.mark.parametrize(("rows", "fraction", "expected"), [(10, 0.2, 2), (10, 0.01, 1), (10, 0.99, 9), (2, 0.5, 1)])
def test_a_split_is_a_partition(classes, rows, fraction, expected):
    data = classes(rows=max(rows, 3)) if rows > 2 else classes(rows=3).view(np.array([0, 2]))
    training, validation = split(data, fraction, seed=1)
    assert len(validation) == expected == validation_rows(rows, fraction)
    assert sorted([*training.indices(), *validation.indices()]) == sorted(data.indices())
    assert training.x is data.x
    assert training.schema.rows == len(training)


def test_the_seed_decides_the_split(classes):
    data = classes()
    a, b, c = (split(data, 0.3, seed)[1].indices().tolist() for seed in (1, 1, 2))
    assert a == b != c


def test_classes_are_renumbered(classes):
    data = classes(labels=("b", "d"))
    target = ClassTarget(classes=("a", "b", "c", "d"))
    again = data.with_classes(target)
    assert np.array_equal(again.y, np.where(data.y == 0, 1, 3))
    assert again.y.dtype == np.int32


def fitted(scale, data):
    return Preprocessing.fit(PreprocessingSpec(scale=scale), data)


def applied(preprocessing, raw, dtype):
    return preprocessing.apply(raw, np.empty(raw.shape, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unit_divides_bytes_by_255_and_leaves_the_rest(classes, reals, dtype):
    images, numbers = classes(), reals()
    assert np.array_equal(
        applied(fitted("unit", images), images.x, dtype), images.x.astype(dtype) / np.array(255, dtype)
    )
    assert np.array_equal(applied(fitted("unit", numbers), numbers.x, dtype), numbers.x.astype(dtype))
    assert np.array_equal(applied(fitted("none", images), images.x, dtype), images.x.astype(dtype))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_standard_is_fitted_on_the_rows_given(dtype):
    random = np.random.default_rng(0)
    x = (50 * random.normal(size=(70_000, 3)) + 128).clip(0, 255).astype(dtype)
    schema = DataSchema(rows=len(x), input_shape=(3,), input_dtype=dtype, target=RealTarget(shape=()))
    data = Dataset(schema, x, np.zeros(len(x))).view(np.arange(0, 70_000, 2))
    half = x[::2].astype(np.float64)
    preprocessing = fitted("standard", data)
    assert np.allclose(preprocessing.arrays["0.mean"], half.mean(axis=0), rtol=1e-13)
    assert np.allclose(preprocessing.arrays["0.deviation"], half.std(axis=0), rtol=1e-12)
    before = x.copy()
    y = applied(preprocessing, x[::2], "float32")
    assert np.allclose(y, (half - half.mean(axis=0)) / half.std(axis=0), atol=1e-5)
    assert np.array_equal(x, before)


def test_a_constant_column_is_safe_and_large_values_stay_apart():
    x = np.stack([np.full(5000, 0.1), 1.7e9 + np.arange(5000) % 7], axis=1)
    schema = DataSchema(rows=5000, input_shape=(2,), input_dtype="float64", target=RealTarget(shape=()))
    data = Dataset(schema, x, np.zeros(5000))
    y = applied(fitted("standard", data), x, "float32")
    assert np.abs(y[:, 0]).max() < 1e-12
    assert np.allclose(y[:, 1], (x[:, 1] - x[:, 1].mean()) / x[:, 1].std(), atol=1e-6)


def test_preprocessing_travels_as_json_and_arrays(reals):
    data = reals()
    there = fitted("standard", data)
    back = Preprocessing.from_json(there.to_json(), there.arrays)
    assert there.to_json() == [{"type": "standardize"}]
    assert np.array_equal(applied(back, data.x, "float64"), applied(there, data.x, "float64"))


def test_batches_gather_rows_and_encode_targets(classes, reals):
    data = classes()
    batches = Batches(data, fitted("unit", data), rows=8, width=3, dtype="float32")
    for indices in (np.array([3, 1, 4, 1, 5]), np.array([9, 2])):
        x, y, labels = batches.load(indices)
        assert np.array_equal(x, data.x[indices] / np.float32(255))
        assert np.array_equal(y, np.eye(3)[data.y[indices]])
        assert np.array_equal(labels, data.y[indices])
    two = classes(labels=(False, True))
    _, y, _ = Batches(two, fitted("unit", two), rows=50, width=1, dtype="float64").load(np.arange(50))
    assert np.array_equal(y[:, 0], two.y)
    numbers = reals()
    _, y, _ = Batches(numbers, fitted("none", numbers), rows=50, width=2, dtype="float64").load(np.arange(50))
    assert np.array_equal(y, numbers.y)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_class_that_the_schema_does_not_have_is_damage(classes, label):
    data = classes(rows=6)
    y = data.y.copy()
    y[4] = label
    with pytest.raises(DatasetDamaged, match="classes that its schema does not have"):
        Dataset(data.schema, data.x, y)


def test_arrays_lie_in_c_order_and_rows_exist(classes):
    data = classes(rows=6)
    for x, y in ((np.asfortranarray(data.x), data.y), (data.x, np.repeat(data.y, 2)[::2])):
        with pytest.raises(DatasetDamaged, match="C order"):
            Dataset(data.schema, x, y)
    for rows in (np.array([0, 6]), np.array([-1, 2]), np.array([0, 1], np.int32), np.arange(4)[::2]):
        with pytest.raises(DatasetDamaged, match="rows that exist"):
            data.view(rows)
