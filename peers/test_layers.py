"""Each layer in a small network, between layers that learn: dense before it, so that its dx counts, and behind it."""

import importlib.util
from math import prod
from pathlib import Path
from typing import Any

import pytest

from core.layers.layer import Layer, Shape
from peers.comparison import compare, dataset, training
from peers.conftest import Hold

# The same cases as our own tests over all layers draw from, so that a new layer is compared on its first day.
_FILE = Path(__file__).resolve().parents[1] / "tests/core/layer_cases.py"
_SPEC = importlib.util.spec_from_file_location("layer_cases", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
CASES: list[tuple[Layer, Shape]] = [(case[0], case[1]) for case in _MODULE.CASES]

TAIL = [{"type": "flatten"}, {"type": "dense", "units": 3}]
MORE: list[tuple[dict[str, Any], Shape]] = [
    ({"type": "gru", "units": 3, "biases": {"type": "nielsen_large"}}, (4, 2)),
    ({"type": "batch_norm", "momentum": 0.3}, (3, 4, 2)),
    ({"type": "softplus"}, (40,)),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=[f"{layer.type}-{i}" for i, (layer, _) in enumerate(CASES)])
def test_layer(layer: Layer, shape: Shape, dtype: str, hold: Hold) -> None:
    hold("layer", layer.type, dtype, compare(*_around(layer.model_dump(mode="json"), shape), dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("layer", "shape"), MORE)
def test_more(layer: dict[str, Any], shape: Shape, dtype: str, hold: Hold) -> None:
    hold("layer", layer["type"], dtype, compare(*_around(layer, shape), dtype))


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=[f"{layer.type}-{i}" for i, (layer, _) in enumerate(CASES)])
def test_layer_in_numpy_alone(layer: Layer, shape: Shape, hold: Hold) -> None:
    hold(
        "layer",
        layer.type,
        "float64",
        compare(*_around(layer.model_dump(mode="json"), shape), "float64", compiled=False),
    )


@pytest.mark.parametrize("type_", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_masked_sequences(type_: str, dtype: str, hold: Hold) -> None:
    layers = [
        {"type": "self_attention", "heads": 2, "positions": True},
        {"type": type_, "units": 5},
        {"type": "dense", "units": 3},
    ]
    data = dataset((6, 4), lengths=True)
    hold("layer", type_, dtype, compare(training(layers), data, dtype))


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("pool", [{"type": "max_pool2d", "size": 2}, {"type": "global_max_pool"}])
def test_ties(pool: dict[str, Any], compiled: bool, hold: Hold) -> None:
    """All vectors of the embedding begin equal, so the winner decides which of them learns."""
    table = {"type": "embedding", "size": 5, "dimension": 2, "weights": {"type": "constant", "value": 0.5}}
    data = dataset((4, 4), categories=5)
    hold("layer", pool["type"], "float64", compare(training([table, pool, *TAIL]), data, "float64", compiled=compiled))


def _around(layer: dict[str, Any], shape: Shape) -> tuple[Any, Any]:
    if layer["type"] == "embedding":
        return training([layer, *TAIL]), dataset(shape, categories=layer["size"])
    front = [{"type": "flatten"}, {"type": "dense", "units": prod(shape)}, {"type": "reshape", "shape": shape}]
    return training([*front, layer, *TAIL]), dataset(shape)
