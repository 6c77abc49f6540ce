"""The sample digits, and the small network of examples/digits.json that has learned a little of them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from core.checkpoint import Checkpoint
from core.data import Dataset
from core.explanations.subject import Subject
from core.schema import ClassTarget, DataSchema
from core.training import Epoch, fit
from core.training_spec import TrainingSpec

ROOT = Path(__file__).resolve().parents[2]
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {
        "layers": [
            {"type": "flatten"},
            {"type": "dense", "units": 16},
            {"type": "sigmoid"},
            {"type": "dense", "units": 16},
            {"type": "sigmoid"},
            {"type": "dense", "units": 10},
            {"type": "sigmoid"},
        ]
    },
    "loss": {"type": "quadratic"},
    "optimizer": {"type": "sgd", "learning_rate": 3.0},
    "batch_size": 10,
    "epochs": 2,
    "dtype": "float64",
}


def digits(rows: int | None = None) -> Dataset:
    """The sample digits, or the first of them."""
    files = (ROOT / "samples" / f"digits-{name}-ubyte.gz" for name in ("images.idx3", "labels.idx1"))
    x, y = (gzip.decompress(file.read_bytes()) for file in files)
    images = np.frombuffer(x, np.uint8, offset=16).reshape(-1, 8, 8)[:rows]
    labels = np.frombuffer(y, np.uint8, offset=8).astype(np.int32)[:rows]
    target = ClassTarget(classes=tuple(range(10)))
    return Dataset(DataSchema(rows=len(images), input_shape=(8, 8), input_dtype="uint8", target=target), images, labels)


def trained(data: Dataset, **changes: Any) -> Subject:
    """The network, behind so many epochs."""
    *_, end = fit(TrainingSpec.model_validate(SPEC | changes), data)
    assert isinstance(end, Epoch)
    checkpoint: Checkpoint = end.checkpoint()
    return Subject.from_checkpoint(checkpoint)
