"""A learning rate for each parameter, from the squares of its own gradients."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.layers.layer import Array
from core.optimizers.optimizer import Fraction, Optimizer
from core.schedules import LearningRate
from core.spec import PositiveNumber


class Adagrad(Optimizer):
    """s += g^2; theta -= rate g / (sqrt(s) + epsilon).

    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic optimization",
    JMLR 12 (2011).
    """

    type: Literal["adagrad"] = "adagrad"
    learning_rate: LearningRate = 0.01
    epsilon: PositiveNumber = 1e-10

    def memory(self) -> tuple[str, ...]:
        return ("square",)

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        (s,) = memory
        s += np.multiply(g, g, out=room)
        np.sqrt(s, out=room)
        room += self.epsilon
        np.divide(g, room, out=room)
        room *= rate
        theta -= room


class RMSprop(Optimizer):
    """s = alpha s + (1 - alpha) g^2; theta -= rate g / (sqrt(s) + epsilon).

    T. Tieleman, G. Hinton, "Neural Networks for Machine Learning", lecture 6.5, 2012.
    """

    type: Literal["rmsprop"] = "rmsprop"
    learning_rate: LearningRate = 0.01
    alpha: Fraction = 0.99
    epsilon: PositiveNumber = 1e-8

    def memory(self) -> tuple[str, ...]:
        return ("square",)

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        (s,) = memory
        s *= self.alpha
        np.multiply(g, g, out=room)
        room *= 1 - self.alpha
        s += room
        np.sqrt(s, out=room)
        room += self.epsilon
        np.divide(g, room, out=room)
        room *= rate
        theta -= room


class Adadelta(Optimizer):
    """s = rho s + (1 - rho) g^2; d = g sqrt(u + epsilon) / sqrt(s + epsilon); theta -= rate d;
    u = rho u + (1 - rho) d^2.

    M. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv 1212.5701 (2012), algorithm 1, where rate is 1.
    """

    type: Literal["adadelta"] = "adadelta"
    learning_rate: LearningRate = 1.0
    rho: Fraction = 0.9
    epsilon: PositiveNumber = 1e-6

    def memory(self) -> tuple[str, ...]:
        return "square", "moved"

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        s, u = memory
        s *= self.rho
        np.multiply(g, g, out=room)
        room *= 1 - self.rho
        s += room
        np.add(u, self.epsilon, out=room)
        g *= np.sqrt(room, out=room)
        np.add(s, self.epsilon, out=room)
        g /= np.sqrt(room, out=room)
        theta -= np.multiply(g, rate, out=room)
        u *= self.rho
        g *= g
        g *= 1 - self.rho
        u += g
