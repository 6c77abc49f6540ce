"""Batch and layer norm against their formulas, and the running statistics."""

import numpy as np
import pytest

from core.gradcheck import network_error
from core.layers import BatchNorm, Dense, Flatten, LayerNorm, Residual
from core.layers.layer import Misfit
from core.losses import Quadratic
from core.network import Network
from core.predictor import Predictor
from core.training import Epoch, fit
from core.workspace import Workspace


def made(layer, shape, rows, *, dtype="float64", training=True):
    network = Network.trace([layer], shape)
    theta, state = network.allocate(dtype)
    network.draw(0, theta, state)
    workspace = Workspace(
        network,
        rows,
        theta=theta,
        state=state,
        gradient=np.zeros_like(theta),
        training=training,
        input_gradient=True,
    )
    return workspace, theta, state


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 2, 3)])
def test_batch_norm_normalises_each_channel(shape):
    workspace, theta, _ = made(BatchNorm(), shape, 6)
    x = np.random.default_rng(0).normal(3, 2, size=(6, *shape))
    y = workspace.forward(x).reshape(-1, 3).copy()
    assert np.allclose(y.mean(axis=0), 0, atol=1e-13)
    variance = x.reshape(-1, 3).var(axis=0)
    assert np.allclose(y.var(axis=0), variance / (variance + 1e-5), rtol=1e-12)
    theta[:] = 2, 3, 4, 10, 20, 30
    assert np.allclose(workspace.forward(x).reshape(-1, 3), y * [2, 3, 4] + [10, 20, 30])


def test_running_statistics_follow_the_batches_and_serve_in_prediction():
    workspace, theta, state = made(BatchNorm(momentum=0.2, epsilon=1e-3), (2,), 5)
    assert state.tolist() == [0, 0, 1, 1]
    random = np.random.default_rng(0)
    mean, variance = np.zeros(2), np.ones(2)
    for rows in (5, 5, 3):
        x = random.normal(1, 3, size=(rows, 2))
        workspace.forward(x)
        mean = 0.8 * mean + 0.2 * x.mean(axis=0)
        variance = 0.8 * variance + 0.2 * x.var(axis=0, ddof=1)
        assert np.allclose(state, [*mean, *variance], rtol=1e-14)
    before = state.copy()
    predicted = Workspace(workspace.network, 1, theta=theta, state=state).forward(np.array([[4.0, -1.0]]))
    assert np.allclose(predicted, ([4, -1] - mean) / np.sqrt(variance + 1e-3), rtol=1e-14)
    assert np.array_equal(state, before)


def test_a_single_value_has_no_variance():
    workspace, theta, state = made(BatchNorm(), (2,), 1)
    theta[2:] = 5, 6
    assert workspace.forward(np.array([[3.0, -7.0]])).tolist() == [[5, 6]]
    assert not workspace.backward(np.ones((1, 2))).any()
    assert state.tolist() == [0, 0, 1, 1]


def test_large_offsets_do_not_harm_float32():
    workspace, *_ = made(BatchNorm(), (50, 50, 2), 20, dtype="float32")
    x = np.random.default_rng(0).normal(1000, 1, size=(20, 50, 50, 2)).astype(np.float32)
    exact = x.astype(np.float64).reshape(-1, 2)
    exact = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    assert np.abs(workspace.forward(x).reshape(-1, 2) - exact).max() < 1e-3


def test_batch_norm_backward_is_right_in_prediction_too():
    network = Network.trace([Dense(units=4), BatchNorm(), Dense(units=2)], (3,))
    theta, state = network.allocate("float64")
    network.draw(0, theta, state)
    random = np.random.default_rng(0)
    state[:] = random.uniform(0.5, 2, 8)
    error = network_error(network, Quadratic(), theta, state, random.normal(size=(6, 3)), random.normal(size=(6, 2)))
    assert error is not None
    assert error < 1e-6


def test_state_inside_blocks_has_names_and_moves(classes, make_spec):
    layers = [
        {"type": "flatten"},
        {"type": "dense", "units": 6},
        {"type": "residual", "layers": [{"type": "batch_norm"}, {"type": "relu"}, {"type": "dense", "units": 6}]},
        {"type": "dense", "units": 3},
    ]
    spec = make_spec(layers=layers, epochs=3)
    done = [(e.metrics["train_loss"], e.checkpoint()) for e in fit(spec, classes()) if isinstance(e, Epoch)]
    names = set(done[-1][1].tensors)
    assert {"state.layers.2.layers.0.mean", "state.layers.2.layers.0.variance", "layers.2.layers.0.scale"} <= names
    assert done[-1][1].tensors["state.layers.2.layers.0.mean"].any()
    assert done[-1][0] < done[0][0]
    resumed = [e.checkpoint() for e in fit(spec, classes(), resume=done[0][1]) if isinstance(e, Epoch)]
    assert resumed[-1].digest == done[-1][1].digest
    x = classes().x[:4]
    predictor = Predictor.from_checkpoint(done[-1][1])
    alone = np.concatenate([predictor.predict(x[i : i + 1]) for i in range(4)])
    assert np.allclose(predictor.predict(x), alone, rtol=1e-13)


def test_layer_norm_normalises_each_place():
    workspace, theta, _ = made(LayerNorm(epsilon=1e-3), (4, 5), 3)
    x = np.random.default_rng(0).normal(3, 2, size=(3, 4, 5))
    theta[:5], theta[5:] = np.arange(5), np.arange(5) * 10
    for n in range(3):
        for t in range(4):
            row = x[n, t]
            expected = (row - row.mean()) / np.sqrt(row.var() + 1e-3) * np.arange(5) + np.arange(5) * 10
            assert np.allclose(workspace.forward(x)[n, t], expected, rtol=1e-13)


def test_layer_norm_of_one_number_is_refused():
    with pytest.raises(Misfit, match="always gives 0"):
        LayerNorm().output_shape((3, 1))


def test_scales_and_shifts_are_not_penalised():
    network = Network.trace([Flatten(), Residual(layers=(LayerNorm(), BatchNorm()))], (2, 3))
    assert network.size == 24
    assert not any(piece.variable.penalised for piece in network.parameters())
