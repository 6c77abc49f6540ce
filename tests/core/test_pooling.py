"""Pooling against explicit loops over the cells that lie inside, ties, padding, and what does not fit."""

from math import ceil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from core.gradcheck import layer_error
from core.layers import AnyLayer, AvgPool2D, GlobalAvgPool, GlobalMaxPool, MaxPool2D, Reshape
from core.layers.layer import Misfit
from core.network import Network
from core.spec import findings
from core.workspace import Workspace


def run(layer, x, dy=None):
    """y, and dx for dy, or for a dy of ones."""
    nothing = np.empty(0, x.dtype)
    network = Network.trace([layer], x.shape[1:])
    workspace = Workspace(
        network, len(x), theta=nothing, state=nothing, gradient=nothing, training=True, input_gradient=True
    )
    y = workspace.forward(x).copy()
    return y, workspace.backward(np.ones_like(y) if dy is None else dy).copy()


def cells(length, size, stride, padding):
    """For each window of one axis, the cells inside it that lie inside the image."""
    before = behind = 0 if isinstance(padding, str) else padding
    if padding == "same":
        total = max(0, (ceil(length / stride) - 1) * stride + size - length)
        before, behind = total // 2, total - total // 2
    starts = range(-before, length + behind - size + 1, stride)
    return [[i for i in range(start, start + size) if 0 <= i < length] for start in starts]


def pooled(x, size, stride, padding, pick):
    """y and dx for dy of 1, 2, 3, ...; pick gives the value of a list and each one's share of the gradient."""
    n, rows, columns, channels = x.shape
    height = cells(rows, size[0], stride[0], padding[0])
    width = cells(columns, size[1], stride[1], padding[1])
    y, dx = np.empty((n, len(height), len(width), channels)), np.zeros_like(x)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    for e, p, q, c in np.ndindex(y.shape):
        inside = [(i, j) for i in height[p] for j in width[q]]
        y[e, p, q, c], shares = pick([x[e, i, j, c] for i, j in inside])
        for (i, j), share in zip(inside, shares, strict=True):
            dx[e, i, j, c] += share * dy[e, p, q, c]
    return y, dy, dx


def largest(values):
    first = values.index(max(values))
    return values[first], [float(k == first) for k in range(len(values))]


def mean(values):
    return sum(values) / len(values), [1 / len(values)] * len(values)


small = st.integers(1, 4)
padding_1d = st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 2))


@pytest.mark.parametrize(("kind", "pick"), [(MaxPool2D, largest), (AvgPool2D, mean)])
@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 2)), size=st.tuples(small, small),
    stride=st.one_of(st.none(), st.tuples(small, small)),
    padding=st.one_of(padding_1d, st.tuples(st.integers(0, 2), st.integers(0, 2))), ties=st.booleans(),
)  # fmt: skip
def test_pools_are_their_definitions(kind, pick, shape, size, stride, padding, ties):
    layer = kind(size=size, stride=stride, padding=padding)
    try:
        layer.output_shape(shape)
    except Misfit:
        assume(False)
    random = np.random.default_rng(0)
    x = random.integers(-1, 2, (2, *shape)).astype(float) if ties else random.normal(size=(2, *shape))
    each = padding if isinstance(padding, tuple) else (padding, padding)
    y, dy, dx = pooled(x, size, stride or size, each, pick)
    found_y, found_dx = run(layer, x, dy)
    assert found_y.shape == y.shape
    assert np.allclose(found_y, y, rtol=1e-14, atol=1e-14)
    assert np.allclose(found_dx, dx, rtol=1e-13, atol=1e-13)


def test_the_first_of_equal_ones_wins():
    x = np.zeros((1, 2, 2, 1))
    assert run(MaxPool2D(size=2), x)[1].ravel().tolist() == [1, 0, 0, 0]
    assert run(GlobalMaxPool(), x)[1].ravel().tolist() == [1, 0, 0, 0]
    assert run(MaxPool2D(size=2, padding=1, stride=1), x)[1].ravel().tolist() == [4, 2, 2, 1]


def test_padding_never_wins_and_never_counts():
    x = np.full((1, 2, 2), -5.0)
    assert (run(MaxPool2D(size=3, stride=1, padding="same"), x)[0] == -5).all()
    assert (run(AvgPool2D(size=3, stride=1, padding="same"), x)[0] == -5).all()
    assert (run(MaxPool2D(size=3, padding=1), -np.full((1, 2, 2), np.inf))[0] == -np.inf).all()


@pytest.mark.parametrize("layer", [MaxPool2D(size=2), AvgPool2D(size=2), GlobalMaxPool(), GlobalAvgPool()], ids=str)
def test_one_nan_reaches_its_window_alone(layer):
    for row, column in np.ndindex(2, 2):
        x = np.ones((1, 2, 2, 2))
        x[0, row, column, 1] = np.nan
        assert np.isnan(run(layer, x)[0]).ravel().tolist() == [False, True]


def test_winners_take_as_little_room_as_they_can():
    def dtype(size):
        return MaxPool2D(size=size).scratch((300, 300, 2), 4)["winners"].dtype

    assert [dtype(16), dtype((16, 17)), dtype(256), dtype((257, 256))] == ["uint8", "uint16", "uint16", "uint32"]
    x = np.zeros((1, 300, 1, 1))
    x[0, 299] = 1
    assert run(MaxPool2D(size=(300, 1)), x)[1].ravel().tolist() == [0.0] * 299 + [1.0]


def test_global_pools_take_images_and_sequences():
    x = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
    for layer, expected in (GlobalMaxPool(), x.max(axis=(1, 2))), (GlobalAvgPool(), x.mean(axis=(1, 2))):
        for view in (x, x.reshape(3, 20, 2)):
            y, dx = run(layer, view)
            assert np.allclose(y, expected, rtol=1e-14)
            assert np.allclose(dx.reshape(3, 20, 2).sum(axis=1), 1, rtol=1e-14)
    assert np.array_equal(run(GlobalMaxPool(), x)[1] == 1, x == x.max(axis=(1, 2), keepdims=True))
    assert np.allclose(run(GlobalAvgPool(), x)[1], 1 / 20, rtol=1e-14)


class Crossed(MaxPool2D):
    """As if the winners of every window changed with every step."""

    crossings: list[int] = []  # noqa: RUF012

    def sides(self, ctx):
        self.crossings.append(1)
        return [np.array(len(self.crossings) if len(self.crossings) <= 16 else 0)]


def test_the_gradient_check_looks_elsewhere_where_inputs_tie():
    layer = Crossed(size=2)
    assert layer_error(layer, (4, 4)) < 1e-6
    assert len(layer.crossings) == 32


@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
@pytest.mark.parametrize(
    ("fields", "shape", "field", "detail"),
    [
        ({"size": 2}, (16,), None, r"\[4, 4, 1\]"),
        ({"size": 3}, (2, 5), "size", "3 rows, but the input has only 2"),
        ({"size": (1, 6), "padding": (0, 0)}, (2, 5), "size", "6 columns"),
        ({"size": 2, "padding": 2}, (5, 5), "padding", "smaller than the size"),
        ({"size": (3, 2), "padding": (1, 2)}, (5, 5), "padding", "smaller than the size"),
    ],
    ids=str,
)
def test_what_does_not_fit_says_the_way_out(kind, fields, shape, field, detail):
    with pytest.raises(Misfit, match=detail) as caught:
        kind(**fields).output_shape(shape)
    assert caught.value.field == field


@pytest.mark.parametrize("layer", [GlobalMaxPool(), GlobalAvgPool()], ids=str)
def test_global_pools_need_something_to_pool_over(layer):
    with pytest.raises(Misfit, match=r"images .* or sequences .*\[7, 1\]"):
        layer.output_shape((7,))


def test_reshape_keeps_the_order():
    x = np.arange(24.0).reshape(2, 12)
    y, dx = run(Reshape(shape=(2, 3, 2)), x)
    assert y.shape == (2, 2, 3, 2)
    assert np.array_equal(y.ravel(), x.ravel())
    assert dx.shape == x.shape
    assert Reshape(shape=(4, -1)).output_shape((2, 6)) == (4, 3)
    assert Reshape(shape=(-1,)).output_shape((2, 6)) == (12,)


@pytest.mark.parametrize("shape", [(5, 2), (7, -1), (12, 2, -1)])
def test_reshape_neither_makes_nor_loses_numbers(shape):
    with pytest.raises(Misfit, match="12 numbers here") as caught:
        Reshape(shape=shape).output_shape((12,))
    assert caught.value.field == "shape"


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"type": "reshape", "shape": []}, "/shape"),
        ({"type": "reshape", "shape": [0, 2]}, "/shape"),
        ({"type": "reshape", "shape": [-1, -1]}, "/shape"),
        ({"type": "reshape", "shape": [2, -2]}, "/shape/1"),
        ({"type": "reshape", "shape": ["2"]}, "/shape/0"),
        ({"type": "max_pool2d", "size": 0}, "/size"),
        ({"type": "max_pool2d", "size": [2, 0]}, "/size/1"),
        ({"type": "avg_pool2d", "size": 2, "stride": 0}, "/stride"),
        ({"type": "avg_pool2d", "size": 2, "stride": [1]}, "/stride/1"),
        ({"type": "avg_pool2d", "size": 2, "padding": "half"}, "/padding"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_at_its_place(body, at):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnyLayer).validate_python(body)
    assert {found.pointer for found in findings(caught.value)} == {at}


def test_a_stride_of_null_is_the_size():
    layer = TypeAdapter(AnyLayer).validate_json('{"type": "max_pool2d", "size": [2, 3], "stride": null}')
    assert layer == MaxPool2D(size=(2, 3))
    assert layer.output_shape((6, 6)) == (3, 2, 1)
