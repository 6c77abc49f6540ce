"""The gradient check itself: it passes what is right and catches what is wrong."""

import numpy as np
import pytest

from core.gradcheck import MARGIN, away_from, layer_error, loss_error, network_error
from core.layers import Dense, Dropout, Flatten, ReLU, Sigmoid, Tanh
from core.losses import CrossEntropy, Quadratic
from core.network import Network


class ForgetsABias(Dense):
    """One of the biases has no gradient."""

    def backward(self, dy, ctx):
        dx = super().backward(dy, ctx)
        ctx.gradients[1][-1] = 0
        return dx


class AlmostSigmoid(Sigmoid):
    """Its dx is wrong by a hundred-thousandth."""

    def backward(self, dy, ctx):
        return super().backward(dy * 1.00001, ctx)


class Halved(Quadratic):
    """Its derivative lacks the factor 2."""

    def backward(self, a, y, room):
        return room


def network_case(layers, loss, seed=0):
    network = Network.trace(layers, (2, 3))
    theta, state = network.allocate("float64")
    network.draw(seed, theta, state)
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(6, 2, 3)), np.eye(3)[random.integers(0, 3, 6)]
    return network_error(network, loss, theta, state, x, y, seed=seed)


@pytest.mark.parametrize("loss", [Quadratic(), CrossEntropy()], ids=lambda loss: loss.type)
@pytest.mark.parametrize("between", [Sigmoid(), Tanh(), ReLU(), Dropout(rate=0.5)], ids=lambda layer: layer.type)
def test_whole_networks_pass(between, loss):
    layers = [Flatten(), Dense(units=8), between, Dense(units=3)]
    assert max(network_case(layers, loss, seed) for seed in range(5)) < 1e-6


def test_what_is_wrong_is_caught():
    assert layer_error(ForgetsABias(units=4), (3,)) > 1e-3
    assert layer_error(AlmostSigmoid(), (3,)) > 1e-6
    assert loss_error(Halved(), np.eye(3)) > 0.4
    assert network_case([Flatten(), ForgetsABias(units=3)], Quadratic()) > 1e-3


def test_kinks_are_kept_away_from():
    x = away_from((0.0,), np.array([-1.0, -1e-9, 0.0, 1e-9, 1.0]))
    assert x.tolist() == [-1.0, -MARGIN, MARGIN, MARGIN, 1.0]


def test_directions_across_a_kink_are_left_out():
    """At zero weights every ReLU sits on its kink, so nothing can be measured."""
    network = Network.trace([Dense(units=4), ReLU()], (3,))
    theta, state = network.allocate("float64")
    theta[...] = 0
    x, y = np.ones((2, 3)), np.ones((2, 4))
    assert network_error(network, Quadratic(), theta, state, x, y) is None
