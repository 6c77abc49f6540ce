"""Small datasets and specs for the tests of the core."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.data import Dataset
from core.schema import ClassTarget, DataSchema, RealTarget
from core.training_spec import TrainingSpec

LAYERS = [{"type": "flatten"}, {"type": "dense", "units": 6}, {"type": "tanh"}, {"type": "dense", "units": 3}]


@pytest.fixture
def classes() -> Callable[..., Dataset]:
    """Three classes, told apart by where the bright pixels of a 4 x 3 image lie."""

    def make(rows: int = 50, seed: int = 0, labels: tuple[Any, ...] = ("ash", "elm", "oak")) -> Dataset:
        random = np.random.default_rng(seed)
        y = random.integers(0, len(labels), rows, dtype=np.int32)
        y[: len(labels)] = np.arange(len(labels))
        x = random.integers(0, 90, (rows, 4, 3))
        x[np.arange(rows), y % 4] += 120
        schema = DataSchema(rows=rows, input_shape=(4, 3), input_dtype="uint8", target=ClassTarget(classes=labels))
        return Dataset(schema, x.astype(np.uint8), y)

    return make


@pytest.fixture
def reals() -> Callable[..., Dataset]:
    """Two real targets of five float inputs."""

    def make(rows: int = 50, seed: int = 0, dtype: str = "float64") -> Dataset:
        random = np.random.default_rng(seed)
        x = random.normal(size=(rows, 5)).astype(dtype)
        y = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2] * x[:, 3]], axis=1).astype(np.float64)
        schema = DataSchema(rows=rows, input_shape=(5,), input_dtype=dtype, target=RealTarget(shape=(2,)))
        return Dataset(schema, x, y)

    return make


@pytest.fixture
def make_spec() -> Callable[..., TrainingSpec]:
    """A spec with small defaults; keyword arguments replace its fields."""

    def make(**changes: Any) -> TrainingSpec:
        layers = changes.pop("layers", LAYERS)
        fields = {
            "dataset": "ds_1",
            "network": {"layers": layers},
            "loss": {"type": "cross_entropy"},
            "batch_size": 16,
            "epochs": 3,
            "seed": 7,
            "dtype": "float64",
        }
        return TrainingSpec.model_validate(fields | changes)

    return make
