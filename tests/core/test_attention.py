"""Self-attention against explicit loops over examples, heads and steps."""

import numpy as np
import pytest

from core.layers import LayerNorm, Residual, SelfAttention
from core.layers.layer import Misfit
from core.network import Network
from core.workspace import Workspace
from tests.core.masked import derivative_error

MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], float)


def made(layer, shape=(4, 6), rows=4):
    network = Network.trace([layer], shape)
    theta, state = network.allocate("float64")
    theta[:] = np.random.default_rng(3).normal(size=theta.shape)
    gradient = np.zeros_like(theta)
    workspace = Workspace(
        network, rows, theta=theta, state=state, gradient=gradient, training=True, input_gradient=True
    )
    return workspace, {p.name.removeprefix("layers.0."): p.of(theta) for p in network.parameters()}, theta, gradient


def attended(x, mask, heads, p):
    """y for one example (time, d)."""
    time, d = x.shape
    x = x + p.get("positions", 0)
    q, k, v = np.split(x @ p["weights"] + p["biases"], 3, axis=1)
    width = d // heads
    mixed = np.zeros((time, d))
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for t in range(time):
            valid = [s for s in range(time) if mask[s]]
            if valid:
                weights = np.exp([q[t, part] @ k[s, part] / np.sqrt(width) for s in valid])
                mixed[t, part] = (weights / weights.sum()) @ v[valid, part]
    return mixed @ p["output_weights"] + p["output_biases"]


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize(("heads", "positions"), [(1, False), (2, True), (6, False)])
def test_it_is_what_a_plain_loop_gives(heads, positions, mask):
    workspace, pieces, *_ = made(SelfAttention(heads=heads, positions=positions))
    x = np.random.default_rng(0).normal(size=(4, 4, 6))
    y = workspace.forward(x, mask)
    for row in range(4):
        expected = attended(x[row], np.ones(4) if mask is None else mask[row], heads, pieces)
        assert np.allclose(y[row], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("positions", [False, True])
def test_backward_is_the_derivative_under_masks(positions):
    workspace, _, theta, gradient = made(SelfAttention(heads=2, positions=positions))
    x = np.random.default_rng(0).normal(size=(4, 4, 6))
    assert derivative_error(workspace, theta, gradient, x, MASK) < 1e-6


def test_masked_steps_are_not_looked_at():
    workspace, *_ = made(SelfAttention(heads=2))
    x = np.random.default_rng(0).normal(size=(4, 4, 6))
    y = workspace.forward(x, MASK).copy()
    x[1, 2:] = 1e6
    assert np.array_equal(workspace.forward(x, MASK)[1, :2], y[1, :2])


def test_large_scores_do_not_overflow():
    workspace, *_ = made(SelfAttention(heads=1))
    assert np.isfinite(workspace.forward(1e6 * np.ones((4, 4, 6)), MASK)).all()


def test_without_positions_the_order_of_the_steps_does_not_matter():
    x = np.random.default_rng(0).normal(size=(4, 4, 6))
    for positions in (False, True):
        workspace, *_ = made(SelfAttention(heads=2, positions=positions))
        y = workspace.forward(x).copy()
        assert np.allclose(workspace.forward(x[:, ::-1].copy())[:, ::-1], y) != positions


def test_the_mask_reaches_layers_inside_blocks():
    x = np.random.default_rng(0).normal(size=(4, 4, 6))
    network = Network.trace([Residual(layers=(LayerNorm(), SelfAttention(heads=2)))], (4, 6))
    theta, state = network.allocate("float64")
    network.draw(0, theta, state)
    workspace = Workspace(network, 4, theta=theta, state=state)
    y = workspace.forward(x, MASK).copy()
    x[1, 2:] = 50
    assert np.array_equal(workspace.forward(x, MASK)[1, :2], y[1, :2])


@pytest.mark.parametrize(
    ("shape", "field", "words"),
    [((6,), None, "flatten"), ((2, 3, 4), None, "reshape"), ((4, 10), "heads", r"\[1, 2, 5, 10\]")],
)
def test_what_does_not_fit_is_said(shape, field, words):
    with pytest.raises(Misfit, match=words) as caught:
        SelfAttention(heads=4).output_shape(shape)
    assert caught.value.field == field


def test_positions_are_not_penalised():
    network = Network.trace([SelfAttention(positions=True)], (3, 2))
    penalised = [p.name for p in network.parameters() if p.variable.penalised]
    assert penalised == ["layers.0.weights", "layers.0.output_weights"]
    assert network.size == 2 * 6 + 6 + 4 + 2 + 6
