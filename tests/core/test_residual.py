"""Residual blocks: the sum, the gradients through both ways, names, pointers, places and random streams inside."""

import json
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from core.data import split
from core.estimate import check
from core.gradcheck import network_error
from core.layers import Conv2D, Dense, Dropout, Flatten, ReLU, Reshape, Residual, Sigmoid, Tanh
from core.losses import Quadratic
from core.network import Network, NetworkSpec, ShapeError, pairs
from core.predictor import Predictor
from core.random import Purpose, Random
from core.spec import SpecError, findings
from core.training import Epoch, fit
from core.workspace import Workspace, layout

BLOCK = Residual(layers=(Dense(units=4), Tanh(), Residual(layers=(Dropout(rate=0.5), Dense(units=4))), Dense(units=3)))


def made(layers, shape, *, rows=5, training=True, input_gradient=False):
    network = Network.trace(layers, shape)
    theta, state = network.allocate("float64")
    network.draw(1, theta, state)
    gradient = np.zeros_like(theta)
    workspace = Workspace(
        network, rows, theta=theta, state=state, gradient=gradient, training=training, input_gradient=input_gradient
    )
    return network, theta, gradient, workspace


def test_it_adds_the_block_to_its_input():
    _, theta, gradient, workspace = made([Residual(layers=(Dense(units=3), Tanh()))], (3,), input_gradient=True)
    random = np.random.default_rng(0)
    x, dy = random.normal(size=(2, 5, 3))
    W, b = theta[:9].reshape(3, 3), theta[9:]
    f = np.tanh(x @ W + b)
    dz = dy * (1 - f**2)
    assert np.allclose(workspace.forward(x), x + f, rtol=1e-14)
    assert np.allclose(workspace.backward(dy), dy + dz @ W.T, rtol=1e-13)
    assert np.allclose(gradient, np.concatenate([(x.T @ dz).ravel(), dz.sum(axis=0)]), rtol=1e-13)


def test_names_and_numbers_nest():
    network = Network.trace([Flatten(), BLOCK, Dense(units=2)], (3,))
    assert [(p.name, p.start) for p in network.parameters()] == [
        ("layers.1.layers.0.weights", 0),
        ("layers.1.layers.0.biases", 12),
        ("layers.1.layers.2.layers.1.weights", 16),
        ("layers.1.layers.2.layers.1.biases", 32),
        ("layers.1.layers.3.weights", 36),
        ("layers.1.layers.3.biases", 48),
        ("layers.2.weights", 51),
        ("layers.2.biases", 57),
    ]
    assert [at.number for at in network.walk()] == list(range(9))
    assert network.size == 59
    assert network.first_learned == 1
    inside = 9 - 2  # multiply-adds of the matrices, biases, tanh, sums
    assert network.flops == (7 * 4 + 16 + 4 + (4 + 9 * 4) + 9 * 3 + 3) + inside * 2


@pytest.mark.parametrize("block", [BLOCK, Residual(layers=(Sigmoid(), Flatten(), *BLOCK.layers))])
def test_the_input_gradient_is_the_same_whether_asked_for_or_not(block):
    random = np.random.default_rng(0)
    x, dy = random.normal(size=(5, 3)), random.normal(size=(5, 2))
    gradients = []
    for wanted in (False, True):
        _, _, gradient, workspace = made([block, Sigmoid(), Dense(units=2)], (3,), input_gradient=wanted)
        workspace.randomise(5, seed=3, epoch=0, step=0)
        workspace.forward(x)
        assert (workspace.backward(dy) is not None) == wanted
        gradients.append(gradient)
    assert np.array_equal(*gradients)
    assert np.count_nonzero(gradients[0]) > 50


@pytest.mark.parametrize("shared", [1, 2])
def test_many_blocks_have_the_right_gradient(shared):
    layers = [Dense(units=6), *[Residual(layers=(ReLU(), Dense(units=6), Tanh(), Dense(units=6)))] * 3 * shared]
    network, theta, *_ = made([Flatten(), *layers], (2, 3))
    random = np.random.default_rng(0)
    x, y = random.normal(size=(7, 2, 3)), random.normal(size=(7, 6))
    error = network_error(network, Quadratic(), theta, np.empty(0), x, y)
    assert error is not None
    assert error < 1e-6


def test_what_backward_needs_is_never_written_over():
    network = Network.trace([Dense(units=3), BLOCK, ReLU(), BLOCK, Dense(units=2)], (3,))
    theta, state = network.allocate("float64")
    workspace = Workspace(network, 5, theta=theta, state=state, gradient=np.zeros_like(theta), training=True)
    contexts = [ctx for _, ctx in pairs(network.layers, workspace.contexts(5))]
    kept = [a for ctx in contexts for a in (ctx.y, *ctx.scratch) if a.size]
    passing = [ctx.dx for ctx in contexts if ctx.dx is not None]
    stretches = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in kept)
    assert all(end <= start for (_, end), (start, _) in pairwise(stretches))
    assert stretches[-1][1] <= min(a.ctypes.data for a in passing)
    assert not any(np.shares_memory(inner.dx, workspace.contexts(5)[1].dx) for inner in workspace.contexts(5)[1].inner)


def test_blocks_behind_one_another_share_the_places_that_pass():
    def passing(count):
        network = Network.trace([Residual(layers=(Dense(units=8), Dense(units=8)))] * count, (8,))
        return layout(network, 8, "float64", backward=True).bytes - count * 3 * 512

    assert passing(5) == passing(3) == 4 * 512  # two places around the blocks, two inside


def test_each_random_layer_inside_has_a_stream_of_its_own():
    double = Residual(layers=(Dropout(rate=0.5), Residual(layers=(Dropout(rate=0.5),))))
    network, *_, workspace = made([double, Dropout(rate=0.5)], (50,), rows=2)
    workspace.randomise(2, seed=3, epoch=1, step=4)
    workspace.forward(np.ones((2, 50)))
    found = [(at, ctx) for at, ctx in pairs(network.layers, workspace.contexts(2)) if at.layer.stochastic]
    assert [at.number for at, _ in found] == [1, 3, 4]
    masks = [ctx.scratch[0] for _, ctx in found]
    assert all(not np.array_equal(a, b) for a, b in pairwise(masks))
    expected = Random(3, Purpose.LAYER, epoch=1, step=4, layer=3).keep(0.5, np.empty((2, 50)))
    assert np.array_equal(masks[1], 2 * expected)


def test_prediction_equals_training_without_randomness():
    layers = [Dense(units=4), *[Residual(layers=(Dense(units=7), Sigmoid(), Flatten(), Dense(units=4)))] * 3]
    network, theta, _, workspace = made(layers, (3,))
    x = np.random.default_rng(0).normal(size=(5, 3))
    alone = Workspace(network, 5, theta=theta, state=np.empty(0))
    assert np.array_equal(alone.forward(x), workspace.forward(x))


@pytest.mark.parametrize(
    ("layers", "pointer", "words"),
    [
        ([Residual(layers=(Dense(units=2),))], "/network/layers/0/layers", '"dense", "units": 3'),
        ([Residual(layers=(Flatten(), BLOCK, Dense(units=2), Residual(layers=(Dense(units=3),))))],
         "/network/layers/0/layers/3/layers", '"dense", "units": 2'),
    ],
)  # fmt: skip
def test_a_block_that_does_not_fit_is_pointed_at(layers, pointer, words):
    with pytest.raises(ShapeError, match=words) as caught:
        Network.trace(layers, (3,))
    assert caught.value.pointer == pointer


def test_a_layer_inside_that_does_not_fit_is_pointed_at():
    with pytest.raises(ShapeError, match="flatten") as caught:
        Network.trace([ReLU(), Residual(layers=(ReLU(), Residual(layers=(Dense(units=3),))))], (2, 3))
    assert caught.value.pointer == "/network/layers/1/layers/1/layers/0"
    with pytest.raises(ShapeError, match="keep the shape") as caught:
        Network.trace([Residual(layers=(Flatten(),))], (2, 3))
    assert caught.value.pointer == "/network/layers/0/layers"


@pytest.mark.parametrize(
    ("layers", "shape", "says"),
    [
        ((Conv2D(filters=1, kernel=3, padding="same"),), (8, 8),
         'put {"type": "reshape", "shape": [8, 8, 1]} in front of it.'),
        ((Conv2D(filters=4, kernel=3),), (8, 8, 4), 'convolutions keep it with stride 1, padding "same"'),
        ((Conv2D(filters=4, kernel=3), Flatten(), Dense(units=5)), (8, 8, 4),
         'end it with {"type": "dense", "units": 256}, {"type": "reshape", "shape": [8, 8, 4]}.'),
        ((Flatten(), Dense(units=6)), (2, 3), 'end it with {"type": "reshape", "shape": [2, 3]}.'),
        ((Flatten(), Dense(units=8), Reshape(shape=(4, 2))), (2, 3), "let it end in 2 x 3 again."),
        ((Dense(units=2),), (3,), 'end it with {"type": "dense", "units": 3}.'),
    ],
)  # fmt: skip
def test_the_way_out_keeps_the_shape(layers, shape, says):
    with pytest.raises(ShapeError, match="must keep the shape") as caught:
        Network.trace([Residual(layers=layers)], shape)
    assert says in caught.value.detail
    assert ("convolutions" in caught.value.detail) == ("convolutions" in says)


def test_findings_of_the_validator_point_inside():
    with pytest.raises(ValidationError) as caught:
        NetworkSpec.model_validate({"layers": [{"type": "residual", "layers": [{"type": "dense", "units": 0}]}]})
    assert [f.pointer for f in findings(caught.value)] == ["/layers/0/layers/0/units"]


def test_depth_and_number_are_bounded():
    def nested(depth):
        return json.loads('{"type": "residual", "layers": [' * depth + '{"type": "relu"}' + "]}" * depth)

    NetworkSpec.model_validate({"layers": [nested(8)]})
    with pytest.raises(ValidationError, match="8 deep"):
        NetworkSpec.model_validate({"layers": [nested(9)]})
    wide = {"type": "residual", "layers": [{"type": "relu"}] * 255}
    NetworkSpec.model_validate({"layers": [wide] * 4})
    with pytest.raises(ValidationError, match="1280 layers"):
        NetworkSpec.model_validate({"layers": [wide] * 5})


def test_a_cross_entropy_wants_a_block_that_ends_in_plain_numbers(classes, make_spec):
    def layers(*block):
        return [{"type": "flatten"}, {"type": "dense", "units": 3}, {"type": "residual", "layers": list(block)}]

    dense = {"type": "dense", "units": 3}
    check(make_spec(layers=layers({"type": "relu"}, dense)), classes().schema, None)
    with pytest.raises(SpecError) as caught:
        check(make_spec(layers=layers(dense, {"type": "softmax"})), classes().schema, None)
    assert [at for at, _ in caught.value.errors] == ["/network/layers/2/layers/1"]
    with pytest.raises(SpecError) as caught:
        check(make_spec(layers=layers({"type": "softmax"})), classes().schema, None)
    assert [at for at, _ in caught.value.errors] == ["/network/layers/2"]


def test_it_trains_resumes_and_predicts(classes, make_spec):
    block = {
        "type": "residual",
        "layers": [{"type": "dense", "units": 6}, {"type": "tanh"}, {"type": "dropout", "rate": 0.2}],
    }
    layers = [{"type": "flatten"}, {"type": "dense", "units": 6}, block, {"type": "dense", "units": 3}]
    spec = make_spec(layers=layers, epochs=4)
    data, aside = split(classes(), 0.2, 0)
    epochs = [e.checkpoint() if e.epoch in (2, 4) else None for e in fit(spec, data) if isinstance(e, Epoch)]
    resumed = [e.checkpoint() for e in fit(spec, data, resume=epochs[1]) if isinstance(e, Epoch)]
    assert resumed[-1].digest == epochs[3].digest
    outputs = Predictor.from_checkpoint(epochs[3]).predict(aside.x[aside.rows])
    assert outputs.shape == (len(aside), 3)
