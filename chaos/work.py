"""The data and the kinds of jobs: trainings from a blink to epochs that are longer than a lease, and predictions."""

import math
import random
from dataclasses import dataclass
from typing import Any

ROWS = 6000
MANY_ROWS = 60_000  # to be predicted: some seconds of work, with a part every half second


def rings(name: str = "rings", rows: int = ROWS) -> dict[str, Any]:
    """A dataset of two rings as the body of an upload."""
    draw = random.Random(7)
    x, y = [], []
    for row in range(rows):
        angle, radius = draw.uniform(0, 2 * math.pi), 1 + row % 2 + draw.gauss(0, 0.1)
        x.append([radius * math.cos(angle), radius * math.sin(angle)])
        y.append(row % 2)
    return {"name": name, "x": x, "y": y}


def _stack(*units: int, between: tuple[dict[str, Any], ...] = ({"type": "tanh"},)) -> dict[str, Any]:
    layers: list[dict[str, Any]] = []
    for width in units:
        layers += [{"type": "dense", "units": width}, *between]
    return {"layers": [*layers, {"type": "dense", "units": 2}]}


_USUAL: dict[str, Any] = {
    "loss": {"type": "cross_entropy"},
    "validation": {"fraction": 0.25},
    "optimizer": {"type": "sgd", "learning_rate": 0.01, "momentum": 0.9},
}
TRAININGS: dict[str, dict[str, Any]] = {
    "blink": _USUAL | {"network": _stack(16), "epochs": 3},
    "tiny-epochs": _USUAL | {"network": _stack(8), "epochs": 1000, "batch_size": 4500},
    "steady": _USUAL | {"network": _stack(128, 64), "epochs": 50, "batch_size": 1},
    "drops": _USUAL
    | {
        "network": _stack(96, 48, between=({"type": "batch_norm"}, {"type": "relu"}, {"type": "dropout", "rate": 0.3})),
        "optimizer": {"type": "adam", "learning_rate": 0.003},
        "dtype": "float64",
        "epochs": 60,
        "batch_size": 4,
        "metrics": ["f1"],
    },
    "patient": _USUAL
    | {
        "network": _stack(64),
        "epochs": 1000,
        "batch_size": 16,
        "early_stopping": {"metric": "validation_accuracy", "patience": 250},
        "checkpoints": {"every_epochs": 5, "keep": 3},
    },
    "long-epochs": _USUAL | {"network": _stack(1024, 384), "epochs": 2, "batch_size": 1},
    "wide": _USUAL | {"network": _stack(1536, 512), "epochs": 1, "batch_size": 1500},
}
PREDICTED = "wide"  # the kind of training whose undisturbed model is asked
PREDICTIONS: dict[str, dict[str, Any]] = {
    "predict-csv": {"format": "csv", "top": 2},
    "predict-npz": {"format": "npz", "outputs": True},
    "predict-parquet": {"format": "parquet", "top": 2, "outputs": True},
}
KINDS = (*TRAININGS, *PREDICTIONS)


@dataclass(frozen=True)
class Ground:
    """What jobs are about: the dataset of trainings, that of predictions, and the model that predicts."""

    dataset: str
    many: str | None = None
    model: str | None = None


def request(kind: str, ground: Ground) -> tuple[str, dict[str, Any]]:
    """A job of a kind as path and body of its submission."""
    if kind in PREDICTIONS:
        path = f"/v1/models/{ground.model}/batch-predictions"
        return path, {"name": kind, "dataset": ground.many, **PREDICTIONS[kind]}
    return "/v1/jobs", {"name": kind, "dataset": ground.dataset, "seed": 3, **TRAININGS[kind]}
