"""Each loss behind a small network, for each form of target and each option."""

from typing import Any

import pytest

from peers.comparison import compare, dataset, training
from peers.conftest import Hold

CASES: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"type": "quadratic"}, {"classes": 3}, 3),
    ({"type": "quadratic"}, {"classes": None, "outputs": 2}, 2),
    ({"type": "quadratic"}, {"classes": 2}, 1),
    ({"type": "mean_squared_error"}, {"classes": None, "outputs": 4}, 4),
    ({"type": "mean_squared_error"}, {"classes": 3}, 3),
    ({"type": "mean_absolute_error"}, {"classes": None, "outputs": 4}, 4),
    ({"type": "huber"}, {"classes": None, "outputs": 3}, 3),
    ({"type": "huber", "delta": 0.3}, {"classes": None, "outputs": 3}, 3),
    ({"type": "cross_entropy"}, {"classes": 4}, 4),
    ({"type": "cross_entropy", "label_smoothing": 0.1}, {"classes": 4}, 4),
    ({"type": "cross_entropy", "class_weights": [1.0, 2.0, 0.5]}, {"classes": 3}, 3),
    ({"type": "cross_entropy", "class_weights": [1.0, 2.0, 0.5], "label_smoothing": 0.2}, {"classes": 3}, 3),
    ({"type": "binary_cross_entropy"}, {"classes": 2}, 1),
    ({"type": "binary_cross_entropy"}, {"classes": 3}, 3),
    ({"type": "binary_cross_entropy", "class_weights": [0.5, 3.0]}, {"classes": 2}, 1),
    ({"type": "hinge"}, {"classes": 3}, 3),
    ({"type": "hinge"}, {"classes": 2}, 1),
    ({"type": "hinge"}, {"classes": 2}, 2),
]


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("loss", "target", "width"), CASES)
def test_loss(loss: dict[str, Any], target: dict[str, Any], width: int, dtype: str, compiled: bool, hold: Hold) -> None:
    layers = [{"type": "dense", "units": 7}, {"type": "tanh"}, {"type": "dense", "units": width}]
    distance = compare(training(layers, loss=loss), dataset((5,), **target), dtype, compiled=compiled)
    hold("loss", loss["type"], dtype, distance)
