"""Random stacks of layers, with random losses, optimizers and regularisation."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.comparison import compare, dataset, sensitivity, training
from peers.conftest import BOUNDS, Hold

Layers = list[dict[str, Any]]
ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "softmax"]
FORMULAS = ["x * sigmoid(beta * x)", "sin(beta * x) + x / 2", "x / sqrt(1 + beta * beta * x ** 2)"]
SETTINGS = settings(max_examples=50, derandomize=True, deadline=None, database=None)


def _anywhere(draw: st.DrawFn, shape: tuple[int, ...]) -> dict[str, Any]:
    """A layer that keeps any shape."""
    match draw(st.sampled_from(["activation", "activation", "dropout", "batch_norm", "layer_norm", "expression"])):
        case "dropout":
            return {"type": "dropout", "rate": draw(st.sampled_from([0.1, 0.5]))}
        case "layer_norm" if shape[-1] > 1:
            return {"type": "layer_norm"}
        case "batch_norm":
            return {"type": "batch_norm"}
        case "expression":
            return {"type": "expression", "expression": draw(st.sampled_from(FORMULAS)), "parameters": {"beta": 0.7}}
        case _:
            return {"type": draw(st.sampled_from(ACTIVATIONS))}


def _on_rows(draw: st.DrawFn, units: int) -> tuple[Layers, tuple[int, ...]]:
    match draw(st.sampled_from(["dense", "residual", "sequence"])):
        case "residual":
            inside: Layers = [{"type": "dense", "units": 4}, _anywhere(draw, (4,)), {"type": "dense", "units": units}]
            return [{"type": "residual", "layers": inside}], (units,)
        case "sequence" if units % 2 == 0:
            return [{"type": "reshape", "shape": [2, -1]}], (2, units // 2)
        case _:
            width = draw(st.integers(2, 8))
            return [{"type": "dense", "units": width}], (width,)


def _on_sequences(draw: st.DrawFn, time: int, features: int) -> tuple[Layers, tuple[int, ...]]:
    kind = draw(st.sampled_from(["conv1d", "simple_rnn", "lstm", "gru", "self_attention", "flatten", "global"]))
    match kind:
        case "conv1d":
            told = {"filters": draw(st.integers(1, 4)), "kernel": draw(st.integers(1, 3))}
            stride = draw(st.integers(1, 2))
            return [{"type": kind, "padding": "same", "stride": stride, **told}], (-(-time // stride), told["filters"])
        case "self_attention":
            return [{"type": kind, "positions": draw(st.booleans())}], (time, features)
        case "flatten":
            return [{"type": kind}], (time * features,)
        case "global":
            return [{"type": draw(st.sampled_from(["global_avg_pool", "global_max_pool"]))}], (features,)
        case _:
            units, whole = draw(st.integers(1, 5)), draw(st.booleans())
            return [{"type": kind, "units": units, "sequence": whole}], (time, units) if whole else (units,)


def _on_images(draw: st.DrawFn, rows: int, columns: int, channels: int) -> tuple[Layers, tuple[int, ...]]:
    kind = draw(st.sampled_from(["conv2d", "conv2d", "max_pool2d", "avg_pool2d", "flatten", "global"]))
    match kind:
        case "conv2d":
            stride, filters = draw(st.integers(1, 2)), channels * draw(st.integers(1, 2))
            told = {"kernel": draw(st.integers(1, 3)), "padding": "same", "stride": stride, "filters": filters}
            groups = draw(st.sampled_from([1, channels]))
            return [{"type": kind, "groups": groups, **told}], (-(-rows // stride), -(-columns // stride), filters)
        case "flatten":
            return [{"type": kind}], (rows * columns * channels,)
        case "global":
            return [{"type": draw(st.sampled_from(["global_avg_pool", "global_max_pool"]))}], (channels,)
        case _:
            layer = {"type": kind, "size": draw(st.integers(1, 3)), "stride": 2, "padding": "same"}
            return [layer], (-(-rows // 2), -(-columns // 2), channels)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[tuple[int, ...], Layers]:
    """An input shape and up to six steps of layers that fit."""
    start = shape = draw(st.sampled_from([(5,), (8,), (4, 3), (5, 2), (6, 5, 1), (4, 4, 2)]))
    layers: Layers = []
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 2)) == 0:
            layers.append(_anywhere(draw, shape))
            continue
        match shape:
            case (units,):
                found, shape = _on_rows(draw, units)
            case (time, features):
                found, shape = _on_sequences(draw, time, features)
            case (rows, columns, channels):
                found, shape = _on_images(draw, rows, columns, channels)
        layers += found
    return start, layers


SCHEDULES = [
    0.02,
    {"type": "cosine", "learning_rate": 0.03},
    {"type": "inverse_time", "learning_rate": 0.03, "decay": 0.1},
]
RESTRAINTS: list[dict[str, Any]] = [
    {},
    {"regularization": {"l2": 0.01}},
    {"regularization": {"l1": 0.001, "max_norm": 1.5}},
    {"regularization": {"weight_decay": 0.1}, "gradient_clipping": {"norm": 0.5}},
]
LOSSES: list[tuple[dict[str, Any], int | None]] = [
    ({"type": "cross_entropy"}, 3),
    ({"type": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1.0, 2.0, 0.5]}, 3),
    ({"type": "binary_cross_entropy"}, 3),
    ({"type": "quadratic"}, None),
    ({"type": "huber"}, None),
    ({"type": "mean_absolute_error"}, None),
]
DESCENTS = [{"type": "sgd"}, {"type": "momentum"}, {"type": "nesterov"}]
# Where the gradient is nothing but rounding (the bias before a batch norm), these divide it by itself plus epsilon: the
# larger epsilon keeps such noise out of the comparison.
ADAPTIVE = [{"type": type_, "epsilon": 1e-4} for type_ in ("rmsprop", "adagrad", "adam", "adamw", "nadam", "adadelta")]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_random_stacks(dtype: str, hold: Hold) -> None:
    compared, sensitive = [], []

    @SETTINGS
    @given(
        stacks(),
        st.sampled_from(LOSSES),
        st.sampled_from(DESCENTS + (ADAPTIVE if dtype == "float64" else [])),
        st.sampled_from(SCHEDULES),
        st.sampled_from(RESTRAINTS),
    )
    def same(
        stack: tuple[tuple[int, ...], Layers],
        loss: tuple[dict[str, Any], int | None],
        optimizer: dict[str, Any],
        rate: Any,
        restraint: dict[str, Any],
    ) -> None:
        (shape, layers), (told, classes) = stack, loss
        tail = [{"type": "flatten"}, {"type": "dense", "units": classes or 2}]
        spec = training([*layers, *tail], loss=told, optimizer=optimizer | {"learning_rate": rate}, **restraint)
        data = dataset(shape, classes=classes)
        # A layer norm over two numbers, for one, is nearly a step: there PyTorch does not agree with itself either.
        # It was moved aside once, while float32 rounds anew in each of the steps.
        if not sensitivity(spec, data, dtype) <= BOUNDS[dtype] / 8:
            sensitive.append(spec)
            return
        hold("stack", "random", dtype, compare(spec, data, dtype))
        compared.append(spec)

    same()
    assert len(compared) > 2 * len(sensitive)
