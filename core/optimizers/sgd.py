"""Gradient descent, and what gives it momentum."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.layers.layer import Array
from core.optimizers.optimizer import Fraction, Optimizer
from core.schedules import LearningRate


class SGD(Optimizer):
    """theta -= rate v, with v = momentum v + g. Without momentum, v = g."""

    type: Literal["sgd"] = "sgd"
    learning_rate: LearningRate = 0.1
    momentum: Fraction = 0.0

    def memory(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        v = g
        if self.momentum:
            (v,) = memory
            v *= self.momentum
            v += g
        theta -= np.multiply(v, rate, out=room)


class Momentum(Optimizer):
    """v = momentum v + g; theta -= rate v.

    B. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Computational Mathematics and
    Mathematical Physics 4 (1964), in the form that I. Sutskever et al. (ICML 2013) and PyTorch give it.
    """

    type: Literal["momentum"] = "momentum"
    learning_rate: LearningRate = 0.01  # v grows to ten times g where g stays the same
    momentum: Fraction = 0.9

    def memory(self) -> tuple[str, ...]:
        return ("velocity",)

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        (v,) = memory
        v *= self.momentum
        v += g
        theta -= np.multiply(v, rate, out=room)


class Nesterov(Optimizer):
    """v = momentum v + g; theta -= rate (g + momentum v).

    Y. Nesterov, "A method for solving the convex programming problem with convergence rate O(1/k^2)", Soviet
    Mathematics Doklady 27 (1983), where theta is the point at which the gradient is taken, as in PyTorch.
    """

    type: Literal["nesterov"] = "nesterov"
    learning_rate: LearningRate = 0.01
    momentum: Fraction = 0.9

    def memory(self) -> tuple[str, ...]:
        return ("velocity",)

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        (v,) = memory
        v *= self.momentum
        v += g
        g += np.multiply(v, self.momentum, out=room)
        theta -= np.multiply(g, rate, out=room)
