"""Every layer as ONNX: onnxruntime gives what a prediction gives."""

from typing import get_args

import numpy as np
import onnx
import pytest
from pydantic import TypeAdapter

from core.layers import AnyLayer
from core.layers.batch_norm import BatchNorm
from core.layers.dense import Dense
from core.layers.expression import Expression
from core.layers.gelu import GELU
from core.layers.gru import GRU
from core.layers.lstm import LSTM
from core.layers.residual import Residual
from core.layers.self_attention import SelfAttention
from core.layers.simple_rnn import SimpleRNN
from core.onnx import IR_VERSION, OPSET, export, to_onnx
from core.onnx.rules import RULES
from core.spec import SpecError
from tests.core.layer_cases import CASES
from tests.core.onnx_runtime import checkpoint, compare, open_onnx

UNION = get_args(get_args(AnyLayer)[0])
LAYERS = TypeAdapter(list[AnyLayer])
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
in_both_types = pytest.mark.parametrize("dtype", TOLERANCE)


def inputs(layers, shape, rows=5, scale=1.0):
    """Rows of inputs that the first layer takes."""
    random = np.random.default_rng(1)
    categories = layers[0].categories()
    if categories is not None:
        return random.integers(0, categories, (rows, *shape)).astype(np.float64)
    return random.normal(0, scale, (rows, *shape))


def test_every_layer_has_a_rule():
    assert set(RULES) == set(UNION)


def test_the_versions_are_the_current_ones():
    assert onnx.defs.onnx_opset_version() == OPSET
    assert onnx.IR_VERSION == IR_VERSION


@in_both_types
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda v: getattr(v, "type", str(v)))
def test_every_layer_computes_the_same(layer, shape, dtype):
    made = checkpoint([layer], shape, dtype=dtype)
    compare(made, inputs([layer], shape, scale=2.0), tolerance=TOLERANCE[dtype])


STACKS = {
    "images": (
        (6, 6),
        [
            {"type": "conv2d", "filters": 3, "kernel": 3, "padding": "same"},
            {"type": "batch_norm"},
            {"type": "relu"},
            {"type": "max_pool2d", "size": 2},
            {
                "type": "residual",
                "layers": [
                    {"type": "conv2d", "filters": 3, "kernel": 3, "padding": "same"},
                    {"type": "gelu"},
                    {"type": "residual", "layers": [{"type": "expression", "expression": "x * sigmoid(x)"}]},
                ],
            },
            {"type": "avg_pool2d", "size": 2, "stride": 1},
            {"type": "flatten"},
            {"type": "dropout", "rate": 0.5},
            {"type": "dense", "units": 3},
        ],
    ),
    "words": (
        (5,),
        [
            {"type": "embedding", "size": 9, "dimension": 4},
            {"type": "self_attention", "heads": 2, "positions": True},
            {"type": "residual", "layers": [{"type": "layer_norm"}, {"type": "gru", "units": 4, "sequence": True}]},
            {"type": "lstm", "units": 3, "sequence": True},
            {"type": "simple_rnn", "units": 3},
            {"type": "dense", "units": 3},
        ],
    ),
    "numbers": (
        (4,),
        [
            {"type": "reshape", "shape": [2, 2]},
            {"type": "conv1d", "filters": 2, "kernel": 2},
            {"type": "elu"},
            {"type": "leaky_relu"},
            {"type": "softplus"},
            {"type": "global_avg_pool"},
            {"type": "dense", "units": 3},
        ],
    ),
}


@in_both_types
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "hinge", "quadratic"])
@pytest.mark.parametrize("stack", STACKS)
def test_stacks_compute_the_same(stack, loss, dtype):
    shape, layers = STACKS[stack][0], LAYERS.validate_python(STACKS[stack][1])
    made = checkpoint(layers, shape, dtype=dtype, loss={"type": loss})
    compare(made, inputs(layers, shape), tolerance=TOLERANCE[dtype])


MASKED = [LSTM(units=3), LSTM(units=3, sequence=True), GRU(units=2), SimpleRNN(units=2), SelfAttention(heads=2)]


@in_both_types
@pytest.mark.parametrize("layer", MASKED, ids=lambda layer: layer.type)
def test_masked_steps_change_nothing(layer, dtype):
    layers = [Residual(layers=(SelfAttention(),)), layer]
    made = checkpoint(layers, (4, 6), dtype=dtype, masked=True)
    x = inputs(layers, (4, 6), rows=4)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
    compare(made, x, mask, TOLERANCE[dtype])


def test_there_is_no_mask_where_nothing_looks_at_one():
    compare(checkpoint([Dense(units=3)], (4,), masked=True), inputs([Dense(units=3)], (4,)))


@in_both_types
def test_raw_values_go_in(dtype):
    """Also where small differences of large values matter, and rounding them early would show."""
    mean, deviation = np.array([12345.678, -3e-3, 0.0]), np.array([2.0, 1e-3, 1.0])
    x = (mean + deviation * np.random.default_rng(0).normal(size=(8, 3))).astype(dtype)
    arrays = {"0.mean": mean, "0.deviation": deviation}
    made = checkpoint([Dense(units=3)], (3,), dtype=dtype, preprocessing=[{"type": "standardize"}], arrays=arrays)
    compare(made, x, tolerance=TOLERANCE[dtype])
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3))
    made = checkpoint([Dense(units=3)], (3,), dtype=dtype, preprocessing=[{"type": "divide", "by": 255.0}])
    compare(made, pixels, tolerance=TOLERANCE[dtype])


def test_a_batch_norm_of_a_distant_mean():
    made = checkpoint([BatchNorm()], (3,))
    made.tensors["state.layers.0.mean"][...] = 1e4
    compare(made, 1e4 + inputs([BatchNorm()], (3,)))


@in_both_types
def test_formulas_of_every_operation(dtype):
    formulas = [
        "where(1 < 2, x, 0)",
        "x",
        "where(x <= 0.5, min(x, 0.1), max(x, q)) + where(x >= q, x, -x) + where(x == q, 1, 2)",
        "exp(-x) + log(x * x + 1) + sqrt(abs(x)) + sin(x) * cos(x) + tanh(x) + sigmoid(q * x) + abs(x) ** 1.5 + x / 3",
    ]
    layers = [Expression(expression=text, parameters={"q": 0.3} if "q *" in text else {}) for text in formulas[:2]]
    layers += [Expression(expression=text, parameters={"q": 0.3}) for text in formulas[2:]]
    compare(checkpoint(layers, (6,), dtype=dtype), inputs(layers, (6,)), tolerance=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float64"])
def test_gelu_over_its_whole_range(dtype):
    x = np.linspace(-9, 9, 2001)[:, None]
    compare(checkpoint([GELU()], (1,), dtype=dtype), x, tolerance=1e-14)


def test_strays_among_categories_are_no_other_row():
    [layer] = LAYERS.validate_python([{"type": "embedding", "size": 3, "dimension": 2}])
    _, session = open_onnx(to_onnx(checkpoint([layer], (1,)), "words", {}))
    [outputs] = session.run(None, {"inputs": np.array([[-1], [3], [0.5], [2]], np.float32)})
    assert np.isnan(outputs).all(axis=(1, 2)).tolist() == [True, True, True, False]


def test_the_file_tells_where_it_came_from():
    made = checkpoint([Dense(units=3)], (4,))
    model, session = open_onnx(to_onnx(made, "trees", {"job": "job_1"}))
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "job": "job_1",
        "classes": '["ash", "elm", "ölbaum"]',
    }
    assert (model.producer_name, model.graph.name) == ("Nudge", "trees")
    assert session.get_inputs()[0].shape == ["batch", 4]
    assert session.get_outputs()[0].shape == ["batch", 3]
    [weights] = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "layers.0.weights"]
    assert (weights == made.tensors["layers.0.weights"]).all()


def test_equal_models_give_equal_files():
    assert to_onnx(checkpoint([GRU(units=2)], (3, 2)), "a", {}) == to_onnx(checkpoint([GRU(units=2)], (3, 2)), "a", {})


def test_a_layer_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.delitem(RULES, GELU)
    layers = [Dense(units=4), Residual(layers=(Dense(units=4), GELU()))]
    with pytest.raises(SpecError, match="gelu has no form in ONNX") as refused:
        to_onnx(checkpoint(layers, (4,)), "a", {})
    assert refused.value.errors[0].pointer == "/network/layers/1/layers/1"


def test_files_beyond_the_limit_of_the_format_are_refused_before_they_are_made(monkeypatch):
    made = checkpoint([Dense(units=2)], (4,))
    made.spec["network"]["layers"] = [{"type": "dense", "units": 2}, {"type": "dense", "units": 2**20}]
    made.spec["network"]["layers"].append({"type": "dense", "units": 1024})
    with pytest.raises(SpecError, match="longer than 2 GiB") as refused:
        to_onnx(made, "a", {})
    assert refused.value.errors[0].pointer == "/network/layers/2"
    assert export.OVERHEAD < 2**31
