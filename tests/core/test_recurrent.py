"""Recurrent layers against plain loops over examples and steps, with masks."""

import numpy as np
import pytest

from core.layers import GRU, LSTM, Dense, SimpleRNN
from core.layers.layer import Misfit
from core.layers.sigmoid import sigmoid
from core.network import Network
from core.workspace import Workspace
from tests.core.masked import derivative_error

KINDS = [SimpleRNN, LSTM, GRU]
over_kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
SHAPE = (5, 3)
# Whole, padded at the end, padded at the beginning, with holes, and empty.
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], float)


def made(layer, rows=5):
    network = Network.trace([layer], SHAPE)
    theta, state = network.allocate("float64")
    network.draw(0, theta, state)
    theta[:] = np.random.default_rng(7).normal(size=theta.shape)
    gradient = np.zeros_like(theta)
    workspace = Workspace(
        network, rows, theta=theta, state=state, gradient=gradient, training=True, input_gradient=True
    )
    pieces = {p.name.removeprefix("layers.0."): p.of(theta) for p in network.parameters()}
    return workspace, pieces, theta, gradient


def sigma(a):
    return 1 / (1 + np.exp(-a))


def one_step(kind, x, h, c, p):
    """The states behind a step of one example."""
    W, U, b = p["weights"], p["recurrent_weights"], p["biases"]
    if kind is SimpleRNN:
        return np.tanh(x @ W + h @ U + b), c
    if kind is LSTM:
        i, f, g, o = np.split(x @ W + h @ U + b, 4)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        return sigma(o) * np.tanh(c), c
    a_r, a_z, a_n = np.split(x @ W + b, 3)
    q_r, q_z, q_n = np.split(h @ U, 3)
    z = sigma(a_z + q_z)
    n = np.tanh(a_n + sigma(a_r + q_r) * (q_n + p["recurrent_biases"]))
    return (1 - z) * n + z * h, c


def states(kind, x, mask, p, units):
    """The states (n, time, units) behind each step, one example and one step at a time."""
    result = np.zeros((*x.shape[:2], units))
    for row in range(len(x)):
        h, c = np.zeros(units), np.zeros(units)
        for t in range(x.shape[1]):
            if mask[row, t]:
                h, c = one_step(kind, x[row, t], h, c, p)
            result[row, t] = h
    return result


@over_kinds
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_the_states_are_those_of_a_plain_loop(kind, mask):
    x = np.random.default_rng(0).normal(size=(5, *SHAPE))
    for sequence in (False, True):
        workspace, pieces, *_ = made(kind(units=4, sequence=sequence))
        expected = states(kind, x, np.ones((5, 5)) if mask is None else mask, pieces, 4)
        y = workspace.forward(x, mask)
        assert np.allclose(y, expected if sequence else expected[:, -1], rtol=1e-12, atol=1e-14)


@over_kinds
def test_padding_changes_nothing(kind):
    x = np.random.default_rng(0).normal(size=(2, *SHAPE))
    workspace, pieces, *_ = made(kind(units=4), rows=2)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]], float)
    y = workspace.forward(x, mask).copy()
    assert np.allclose(y[0], states(kind, x[:1, :3], np.ones((1, 3)), pieces, 4)[0, -1])
    x[0, 3:] = 100
    assert np.array_equal(workspace.forward(x, mask), y)
    dx = workspace.backward(np.ones((2, 4)))
    assert not dx[0, 3:].any()
    assert not dx[1, 2:].any()
    assert dx[0, :3].all()


@over_kinds
@pytest.mark.parametrize("sequence", [False, True])
def test_backward_is_the_derivative_under_masks(kind, sequence):
    workspace, _, theta, gradient = made(kind(units=3, sequence=sequence))
    x = np.random.default_rng(0).normal(size=(5, *SHAPE))
    assert derivative_error(workspace, theta, gradient, x, MASK) < 1e-7


@over_kinds
def test_an_empty_example_stays_zero_and_teaches_nothing(kind):
    x = np.random.default_rng(0).normal(size=(5, *SHAPE))
    workspace, _, _, gradient = made(kind(units=4))
    assert not workspace.forward(x, np.zeros((5, 5))).any()
    assert not workspace.backward(np.ones((5, 4))).any()
    assert not gradient.any()


@over_kinds
def test_the_mask_may_change_and_go_away(kind):
    x = np.random.default_rng(0).normal(size=(5, *SHAPE))
    workspace, *_ = made(kind(units=4))
    whole = workspace.forward(x).copy()
    assert not np.array_equal(workspace.forward(x, MASK), whole)
    assert np.array_equal(workspace.forward(x), whole)


@over_kinds
@pytest.mark.parametrize(("shape", "words"), [((12,), "flatten"), ((4, 4, 3), "reshape")])
def test_only_sequences_are_taken(kind, shape, words):
    with pytest.raises(Misfit, match=words):
        kind(units=2).output_shape(shape)


@over_kinds
def test_weights_are_penalised_and_biases_are_not(kind):
    network = Network.trace([kind(units=2), Dense(units=1)], SHAPE)
    assert {p.name for p in network.parameters() if p.variable.penalised} == {
        "layers.0.weights",
        "layers.0.recurrent_weights",
        "layers.1.weights",
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", range(1, 10))
def test_gates_between_others_are_what_they_are_alone(columns, dtype):
    a = np.random.default_rng(0).normal(size=(20, columns)).astype(dtype)
    for column in range(columns):
        together = a.copy()
        sigmoid(together[:, column], out=together[:, column])
        alone = sigmoid(a[:, column].copy(), out=np.empty(20, dtype))
        assert np.allclose(together[:, column], alone, rtol=1e-6)


@over_kinds
@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((4,), ['give a recurrent layer before it "sequence": true', "flatten", "reshape", "embedding"]),
        ((8, 8, 3), ['put {"type": "reshape", "shape": [8, -1]} before it']),
    ],
)
def test_what_is_no_sequence_is_told_the_ways_out(kind, shape, says):
    with pytest.raises(Misfit) as caught:
        kind(units=2).output_shape(shape)
    assert "takes sequences, time x features" in caught.value.detail
    assert all(words in caught.value.detail for words in says)
