"""What holds for every layer, tested once over the union."""

import importlib
import pkgutil
from itertools import pairwise
from math import prod
from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter

import core.layers
from core.gradcheck import layer_error
from core.layers import AnyLayer, Dense, Dropout, Flatten, ReLU, Sigmoid, Softmax
from core.layers.layer import Layer, Misfit
from core.network import Network
from core.workspace import Workspace, layout
from tests.core.layer_cases import CASES
from tests.core.unions import concrete

UNION = get_args(get_args(AnyLayer)[0])
over_layers = pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda v: getattr(v, "type", str(v)))


def inputs(layer, random, shape):
    categories = layer.categories()
    return random.normal(size=shape) if categories is None else random.integers(0, categories, shape)


def step(layer, shape, dtype, rows=4, seed=0, training=True):
    """One forward and backward with random numbers; returns x, dy, y, dx, gradient."""
    random = np.random.default_rng(seed)
    network = Network.trace([layer], shape)
    theta, state = network.allocate(dtype)
    network.draw(seed, theta, state)
    gradient = np.zeros_like(theta)
    workspace = Workspace(
        network, rows, theta=theta, state=state, gradient=gradient, training=training, input_gradient=True
    )
    if training:
        workspace.randomise(rows, seed, epoch=0, step=0)
    x = inputs(layer, random, (rows, *shape)).astype(dtype)
    dy = random.normal(size=(rows, *network.output_shape)).astype(dtype)
    y = workspace.forward(x).copy()
    return x, dy, y, workspace.backward(dy).copy(), gradient


def test_every_layer_class_is_in_the_union():
    for module in pkgutil.iter_modules(core.layers.__path__, "core.layers."):
        importlib.import_module(module.name)
    assert concrete(Layer) == set(UNION)


def test_every_layer_has_a_case():
    assert {type(layer) for layer, _ in CASES} == set(UNION)


@over_layers
def test_backward_is_the_derivative_of_forward(layer, shape):
    assert max(layer_error(layer, shape, seed=seed) for seed in range(3)) < 1e-6


@over_layers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_type_of_numbers_is_kept(layer, shape, dtype):
    assert {array.dtype.name for array in step(layer, shape, dtype)} == {dtype}


@over_layers
def test_inputs_are_not_changed(layer, shape):
    x, dy, *_ = step(layer, shape, "float64")
    random = np.random.default_rng(0)
    assert np.array_equal(x, inputs(layer, random, x.shape))
    assert np.array_equal(dy, random.normal(size=dy.shape))


@over_layers
def test_shapes_are_honest(layer, shape):
    x, dy, y, dx, gradient = step(layer, shape, "float64", rows=3)
    assert y.shape == dy.shape == (3, *layer.output_shape(shape))
    assert dx.shape == x.shape
    placed = Network.trace([layer], shape).walk()
    assert gradient.size == sum(prod(v.shape) for at in placed for v in at.layer.parameters(at.input_shape).values())
    assert layer.flops(shape) >= 0


@over_layers
def test_the_same_seed_gives_the_same_bits(layer, shape):
    for first, second in zip(step(layer, shape, "float32"), step(layer, shape, "float32"), strict=True):
        assert np.array_equal(first, second)


@over_layers
def test_json_brings_the_layer_back(layer, shape):
    adapter = TypeAdapter(AnyLayer)
    assert adapter.validate_json(adapter.dump_json(layer)) == layer


@over_layers
def test_a_row_does_not_depend_on_the_rows_beside_it(layer, shape):
    x, _, y, _, _ = step(layer, shape, "float64", training=False)
    network = Network.trace([layer], shape)
    theta, state = network.allocate("float64")
    network.draw(0, theta, state)
    workspace = Workspace(network, 4, theta=theta, state=state)
    alone = np.concatenate([workspace.forward(x[i : i + 1]).copy() for i in range(4)])
    assert np.allclose(alone, y, rtol=1e-14, atol=1e-14)


@over_layers
def test_nan_is_never_hidden(layer, shape):
    network = Network.trace([layer], shape)
    theta, state = network.allocate("float64")
    network.draw(0, theta, state)
    y = Workspace(network, 2, theta=theta, state=state).forward(np.full((2, *shape), np.nan))
    assert np.isnan(y).all()


def test_dense_is_a_matrix_product():
    layer = Dense(units=2)
    network = Network.trace([layer], (3,))
    theta = np.array([1.0, 2, 3, 4, 5, 6, 10, 20])
    y = Workspace(network, 1, theta=theta, state=np.empty(0)).forward(np.array([[1.0, 0, -1]]))
    assert y.tolist() == [[6.0, 16.0]]


def test_dense_wants_a_flat_row():
    with pytest.raises(Misfit, match=r'28 x 28: put {"type": "flatten"}'):
        Dense(units=2).output_shape((28, 28))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_and_softmax_bear_extremes(dtype):
    x = np.array([[-1e4, 0.0, 1e4]], dtype)
    for layer, expected in (Sigmoid(), [[0, 0.5, 1]]), (Softmax(), [[0, 0, 1]]):
        network = Network.trace([layer], (3,))
        empty = np.empty(0, dtype)
        y = Workspace(network, 1, theta=empty, state=empty).forward(x)
        assert np.allclose(y, expected, rtol=0, atol=1e-30)


def test_dropout_scales_what_it_keeps():
    x, dy, y, dx, _ = step(Dropout(rate=0.25), (500,), "float64", rows=20)
    kept = y != 0
    assert abs(kept.mean() - 0.75) < 0.02
    assert np.allclose(y[kept], x[kept] / 0.75)
    assert np.array_equal(dx != 0, kept)
    assert np.allclose(dx[kept], dy[kept] / 0.75)


def test_dropout_is_silent_when_predicting():
    x, dy, y, dx, _ = step(Dropout(rate=0.5), (50,), "float64", training=False)
    assert np.array_equal(y, x)
    assert np.array_equal(dx, dy)


def test_places_do_not_overlap_and_small_batches_use_the_same():
    layers = [Flatten(), Dense(units=4), ReLU(), Flatten(), Dropout(rate=0.5), Dense(units=3), Softmax()]
    network = Network.trace(layers, (2, 3))
    found = layout(network, 5, "float64", backward=True, input_gradient=True)
    theta, state = network.allocate("float64")
    network.draw(0, theta, state)
    workspace = Workspace(
        network, 5, theta=theta, state=state, gradient=np.zeros_like(theta), training=True, input_gradient=True
    )
    stretches = sorted(
        (start, start + array.nbytes)
        for ctx, place in zip(workspace.contexts(5), found.places, strict=True)
        for start, array in [(place.y, ctx.y), *zip(place.scratch, ctx.scratch, strict=True)]
        if start is not None
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(stretches))
    assert stretches[-1][1] <= found.bytes
    small = workspace.contexts(2)
    assert np.shares_memory(small[1].y, workspace.contexts(5)[1].y)
    assert small[1].y.flags.c_contiguous
