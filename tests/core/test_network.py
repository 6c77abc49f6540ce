"""Networks: one flat vector, honest names and places, explicit state."""

import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.initializers import Zeros
from core.layers import Dense, Dropout, Flatten, ReLU, Tanh
from core.layers.layer import Variable
from core.network import Network, ShapeError
from core.schema import ClassTarget, DataSchema
from core.spec import SpecError
from core.workspace import EVALUATION_BYTES, Workspace, evaluation_rows, layout

LAYERS = [Flatten(), Dense(units=4), ReLU(), Dense(units=2)]


class Centred(Tanh):
    """A layer with running statistics: it remembers the mean of what it saw in training."""

    def state(self, shape):
        return {"mean": Variable(shape, Zeros()), "count": Variable((1,), Zeros())}

    def forward(self, x, ctx):
        mean, count = ctx.state
        if ctx.training:
            count += 1
            mean += (x.mean(axis=0) - mean) / count
        return np.subtract(x, mean, out=ctx.y)


def made(layers, shape, dtype="float64"):
    network = Network.trace(layers, shape)
    theta, state = network.allocate(dtype)
    network.draw(0, theta, state)
    return network, theta, state


def test_theta_is_cut_into_named_pieces_without_gaps():
    network, theta, _ = made(LAYERS, (2, 3))
    assert [(p.name, p.start, p.variable.shape) for p in network.parameters()] == [
        ("layers.1.weights", 0, (6, 4)),
        ("layers.1.biases", 24, (4,)),
        ("layers.3.weights", 28, (4, 2)),
        ("layers.3.biases", 36, (2,)),
    ]
    assert network.size == theta.size == 38
    assert all(np.shares_memory(piece.of(theta), theta) for piece in network.parameters())
    assert (network.output_shape, network.first_learned) == ((2,), 1)
    assert network.flops == 13 * 4 + 4 + 9 * 2


def test_a_layer_without_parameters_does_not_change_what_is_drawn():
    _, theta, _ = made(LAYERS, (2, 3))
    _, with_dropout, _ = made([LAYERS[0], Dropout(rate=0.5), *LAYERS[1:]], (2, 3))
    assert np.array_equal(theta, with_dropout)
    _, single, _ = made(LAYERS, (2, 3), "float32")
    assert np.array_equal(single, theta.astype(np.float32))


def test_a_shape_error_points_at_the_layer():
    with pytest.raises(ShapeError) as caught:
        Network.trace([ReLU(), Dense(units=3)], (2, 3))
    assert caught.value.pointer == "/network/layers/1"
    assert caught.value.errors == [(caught.value.pointer, caught.value.detail)]


def test_backward_stops_at_the_first_layer_that_learns():
    network, theta, state = made(LAYERS, (2, 3))
    gradient = np.zeros_like(theta)
    x, dy = np.ones((5, 2, 3)), np.ones((5, 2))
    workspace = Workspace(network, 5, theta=theta, state=state, gradient=gradient, training=True)
    workspace.forward(x)
    assert workspace.backward(dy) is None
    assert np.any(gradient)
    whole = np.zeros_like(theta)
    asked = Workspace(network, 5, theta=theta, state=state, gradient=whole, training=True, input_gradient=True)
    asked.forward(x)
    assert asked.backward(dy).shape == x.shape
    assert np.array_equal(whole, gradient)


def test_state_moves_in_training_only_and_is_kept_by_name():
    network, theta, state = made([Dense(units=2), Centred()], (3,))
    assert [(p.name, p.start) for p in network.state()] == [("layers.1.mean", 0), ("layers.1.count", 2)]
    assert network.size == 8
    gradient = np.zeros_like(theta)
    x = np.random.default_rng(0).normal(size=(4, 3))
    Workspace(network, 4, theta=theta, state=state).forward(x)
    assert not state.any()
    Workspace(network, 4, theta=theta, state=state, gradient=gradient, training=True).forward(x)
    assert np.allclose(state[:2], (x @ theta[:6].reshape(3, 2) + theta[6:]).mean(axis=0))
    assert state[2] == 1

    tensors = {p.name: p.of(theta) for p in network.parameters()}
    tensors |= {f"state.{p.name}": p.of(state) for p in network.state()}
    schema = DataSchema(rows=2, input_shape=(3,), input_dtype="float64", target=ClassTarget(classes=(0, 1)))
    checkpoint = Checkpoint(0, 0, {}, schema, [], tensors)
    other_theta, other_state = network.allocate("float64")
    checkpoint.weights_into(network, other_theta, other_state)
    assert np.array_equal(other_theta, theta)
    assert np.array_equal(other_state, state)
    del tensors["state.layers.1.mean"]
    with pytest.raises(SpecError, match=r"layers\.1\.mean"):
        checkpoint.weights_into(network, other_theta, other_state)


def test_gradients_travelling_back_take_turns_in_two_places():
    network = Network.trace([Dense(units=100)] * 10, (100,))
    with_all_outputs = 10 * 32 * 100 * 8
    assert layout(network, 32, "float64", backward=True).bytes == with_all_outputs + 2 * 32 * 100 * 8
    assert layout(network, 32, "float64", backward=False).bytes == 2 * 32 * 100 * 8


def test_evaluation_batches_shrink_for_wide_networks():
    assert evaluation_rows(Network.trace([Dense(units=10)], (4,)), "float32") == 256
    wide = Network.trace([Dense(units=2**20)], (1,))
    assert evaluation_rows(wide, "float32") == EVALUATION_BYTES // (4 * 2**20)
