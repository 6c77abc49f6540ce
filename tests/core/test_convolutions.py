"""Convolutions against explicit loops over a padded copy, the adjoint identities, and what does not fit."""

from math import ceil, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from core.layers import AnyLayer, Conv1D, Conv2D, Dense, Flatten
from core.layers.layer import Misfit
from core.layers.windows import Sliding
from core.network import Network, ShapeError
from core.spec import findings
from core.workspace import Workspace, layout


def convolved(x, W, b, stride, padding, dilation, groups):
    """The definition, number by number: x (n, rows, columns, channels), padding (before, behind) of each axis."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    (n, rows, columns, _), (kr, kc, depth, filters) = x.shape, W.shape
    height = (rows - (kr - 1) * dilation[0] - 1) // stride[0] + 1
    width = (columns - (kc - 1) * dilation[1] - 1) // stride[1] + 1
    y = np.empty((n, height, width, filters))
    for e, p, q, f in np.ndindex(y.shape):
        first = f // (filters // groups) * depth  # the first channel that this filter sees
        y[e, p, q, f] = b[f] + sum(
            W[i, j, c, f] * x[e, p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1], first + c]
            for i, j, c in np.ndindex(kr, kc, depth)
        )
    return y


def amount(length, size, stride, dilation, padding):
    """(before, behind) of one axis."""
    if padding == "same":
        total = max(0, (ceil(length / stride) - 1) * stride + (size - 1) * dilation + 1 - length)
        return total // 2, total - total // 2
    return (0, 0) if padding == "valid" else (padding, padding)


def run(layer, x, seed=0):
    """parameters, y, dy, dx and gradients, each with random numbers in it."""
    network = Network.trace([layer], x.shape[1:])
    random = np.random.default_rng(seed)
    theta = random.normal(size=network.size)
    gradient = np.full_like(theta, np.nan)
    workspace = Workspace(
        network, len(x), theta=theta, state=np.empty(0), gradient=gradient, training=True, input_gradient=True
    )
    y = workspace.forward(x).copy()
    dy = random.normal(size=y.shape)
    dx = workspace.backward(dy)
    return [[piece.of(v) for piece in network.parameters()] for v in (theta, gradient)], y, dy, dx


def check(layer, x, W, b, y, expected, gradients, dy, dx):
    """y is what loops give; y - b is linear in x and in W, so that both gradients have to give back <dy, y - b>."""
    assert y.shape == expected.shape
    assert np.allclose(y, expected, rtol=1e-12, atol=1e-12)
    dW, db = gradients
    assert np.allclose(db, dy.reshape(-1, layer.filters).sum(axis=0), rtol=1e-12, atol=1e-12)
    assert np.isclose((dx * x).sum(), (dy * (y - b)).sum(), rtol=1e-10, atol=1e-10)
    assert np.isclose((dW * W).sum(), (dy * (y - b)).sum(), rtol=1e-10, atol=1e-10)


small = st.integers(1, 3)
padding_1d = st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 3))
padding_2d = st.one_of(padding_1d, st.tuples(st.integers(0, 3), st.integers(0, 3)))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 7), columns=st.integers(1, 7), kernel=st.tuples(small, small), stride=st.tuples(small, small),
    dilation=st.tuples(small, small), padding=padding_2d, groups=small, depth=small, multiple=small,
)  # fmt: skip
def test_conv2d_is_its_definition(rows, columns, kernel, stride, dilation, padding, groups, depth, multiple):
    layer = Conv2D(
        filters=groups * multiple, kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    shape = rows, columns, groups * depth
    try:
        layer.output_shape(shape)
    except Misfit:
        assume(False)
    x = np.random.default_rng(1).normal(size=(2, *shape))
    ((W, b), gradients), y, dy, dx = run(layer, x)
    each = padding if isinstance(padding, tuple) else (padding, padding)
    amounts = tuple(amount(*axis) for axis in zip(shape[:2], kernel, stride, dilation, each, strict=True))
    expected = convolved(x, W, b, stride, amounts, dilation, groups)
    check(layer, x, W, b, y, expected, gradients, dy, dx)


@settings(deadline=None, max_examples=40)
@given(
    time=st.integers(1, 9), kernel=small, stride=small, dilation=small, padding=padding_1d, groups=small, depth=small,
)  # fmt: skip
def test_conv1d_is_its_definition(time, kernel, stride, dilation, padding, groups, depth):
    layer = Conv1D(filters=groups * 2, kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    shape = time, groups * depth
    try:
        layer.output_shape(shape)
    except Misfit:
        assume(False)
    x = np.random.default_rng(1).normal(size=(2, *shape))
    ((W, b), gradients), y, dy, dx = run(layer, x)
    amounts = ((0, 0), amount(time, kernel, stride, dilation, padding))
    expected = convolved(x[:, None], W[None], b, (1, stride), amounts, (1, dilation), groups)[:, 0]
    check(layer, x, W, b, y, expected, gradients, dy, dx)


def test_the_kernel_is_not_turned_around():
    network = Network.trace([Conv1D(filters=1, kernel=3)], (4, 1))
    y = Workspace(network, 1, theta=np.array([1.0, 10, 100, 0.5]), state=np.empty(0)).forward(
        np.array([[[1.0], [2.0], [3.0], [4.0]]])
    )
    assert y.ravel().tolist() == [321.5, 432.5]


def test_groups_see_their_own_channels_and_filters_come_group_by_group():
    """Two groups of one channel and two filters: filters 0 and 1 see channel 0."""
    network = Network.trace([Conv1D(filters=4, kernel=1, groups=2)], (1, 2))
    theta = np.array([1.0, 2, 3, 4, 0, 0, 0, 0])
    y = Workspace(network, 1, theta=theta, state=np.empty(0)).forward(np.array([[[1.0, 10.0]]]))
    assert y.ravel().tolist() == [1, 2, 30, 40]


def test_same_puts_the_odd_padding_behind():
    assert Sliding.over(5, 2, 1, 1, "same") == Sliding(5, 2, 1, 1, before=0, count=5)
    assert Sliding.over(5, 4, 1, 1, "same") == Sliding(5, 4, 1, 1, before=1, count=5)
    assert Sliding.over(28, 5, 1, 1, "same") == Sliding(28, 5, 1, 1, before=2, count=28)
    assert Sliding.over(6, 3, 2, 1, "same") == Sliding(6, 3, 2, 1, before=0, count=3)
    assert Sliding.over(4, 1, 3, 1, "same") == Sliding(4, 1, 3, 1, before=0, count=2)


def test_two_axes_are_an_image_of_one_channel():
    layer, x = Conv2D(filters=2, kernel=3), np.random.default_rng(0).normal(size=(2, 5, 4))
    (_, flat), y, _, dx = run(layer, x)
    (_, deep), same_y, _, same_dx = run(layer, x[..., None])
    assert np.array_equal(y, same_y)
    assert np.array_equal(dx, same_dx[..., 0])
    assert all(np.array_equal(a, b) for a, b in zip(flat, deep, strict=True))


def test_glorot_counts_what_flows_through_the_kernel():
    weights = Conv2D(filters=6, kernel=(3, 5), groups=2).parameters((9, 9, 4))["weights"]
    assert weights.shape == (3, 5, 2, 6)
    assert (weights.fan_in, weights.fan_out, weights.penalised) == (3 * 5 * 2, 3 * 5 * 3, True)
    network = Network.trace([Conv2D(filters=6, kernel=(3, 5), groups=2)], (9, 9, 4))
    theta, state = network.allocate("float64")
    network.draw(0, theta, state)
    W, b = (piece.of(theta) for piece in network.parameters())
    bound = sqrt(6 / (30 + 45))
    assert 0.9 * bound < np.abs(W).max() < bound
    assert not b.any()
    assert not Conv1D(filters=6, kernel=3).parameters((9, 4))["biases"].penalised


def test_operations_are_counted():
    assert Conv2D(filters=20, kernel=5).flops((28, 28)) == 24 * 24 * 20 * (2 * 25 + 1)
    assert Conv1D(filters=4, kernel=3, groups=2).flops((10, 2)) == 8 * 4 * (2 * 3 + 1)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_room_is_for_no_patches(k):
    """Beyond its output it takes images with their padding, and its weights as the compiled form reads them."""
    network = Network.trace([Conv2D(filters=8, kernel=k, padding="same")], (16, 16, 8))
    images, weights = 64 * (16**2 + 2 * (15 + k) ** 2) * 8, k**2 * 8 * 16
    bytes_ = layout(network, 64, "float32", backward=True).bytes
    assert 4 * (images + weights) <= bytes_ <= 4 * 1.1 * (images + weights)


@pytest.mark.parametrize(
    ("layer", "shape", "field", "detail"),
    [
        (Conv2D(filters=2, kernel=3), (784,), None, r'"reshape", "shape": \[28, 28, 1\]'),
        (Conv2D(filters=2, kernel=3), (3072,), None, r"\[32, 32, 3\]"),
        (Conv2D(filters=2, kernel=3), (10,), None, r"\[10, 1, 1\]"),
        (Conv2D(filters=2, kernel=3), (2, 2, 2, 2), None, "2 x 2 x 2 x 2"),
        (Conv2D(filters=2, kernel=5), (4, 9), "kernel", "5 rows, but the input has only 4"),
        (Conv2D(filters=2, kernel=(1, 3), dilation=5, padding=(0, 2)), (4, 6), "kernel", "11 columns.*padding.* 10"),
        (Conv2D(filters=4, kernel=1, groups=2), (4, 4, 3), "groups", "3 channels.*divide 3"),
        (Conv2D(filters=5, kernel=1, groups=2), (4, 4, 2), "filters", "5 filters.*multiple of 2"),
        (Conv1D(filters=2, kernel=3), (28,), None, r"\[28, 1\]"),
        (Conv1D(filters=2, kernel=3), (28, 28, 3), None, r"\[28, 84\]"),
        (Conv1D(filters=2, kernel=3), (2, 5), "kernel", '3 steps in time.*"padding": "same"'),
        (Conv1D(filters=2, kernel=1, groups=3), (5, 4), "groups", "4 channels"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_says_the_way_out(layer, shape, field, detail):
    with pytest.raises(Misfit, match=detail) as caught:
        layer.output_shape(shape)
    assert caught.value.field == field


def test_a_misfit_points_into_the_spec():
    with pytest.raises(ShapeError) as caught:
        Network.trace([Conv2D(filters=2, kernel=3), Conv2D(filters=2, kernel=9), Flatten(), Dense(units=2)], (8, 8))
    assert caught.value.pointer == "/network/layers/1/kernel"


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"kernel": 0}, "/kernel"),
        ({"kernel": [3]}, "/kernel/1"),
        ({"kernel": [3, 0]}, "/kernel/1"),
        ({"kernel": [3, 3, 3]}, "/kernel"),
        ({"kernel": "3"}, "/kernel"),
        ({"kernel": True}, "/kernel"),
        ({"kernel": 2.0}, "/kernel"),
        ({"kernel": None}, "/kernel"),
        ({"kernel": 3, "padding": "full"}, "/padding"),
        ({"kernel": 3, "padding": -1}, "/padding"),
        ({"kernel": 3, "padding": [1, -1]}, "/padding/1"),
        ({"kernel": 3, "stride": 0}, "/stride"),
        ({"kernel": 3, "groups": 0}, "/groups"),
        ({"kernel": 3, "filters": 0}, "/filters"),
        ({"filters": 3}, "/kernel"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_at_its_place(body, at):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnyLayer).validate_python({"type": "conv2d", "filters": 2} | body)
    assert {found.pointer for found in findings(caught.value)} == {at}


def test_conv1d_takes_one_number_for_its_one_axis():
    for field in ("kernel", "padding"):
        with pytest.raises(ValidationError) as caught:
            TypeAdapter(AnyLayer).validate_python({"type": "conv1d", "filters": 2, "kernel": 3} | {field: [1, 1]})
        assert {found.pointer for found in findings(caught.value)} == {f"/{field}"}
