"""How a gradient moves the parameters. One class each; `AnyOptimizer` is the registry.

An optimizer sees the whole network as one vector theta. Between steps it remembers vectors of the same length, which it
names, and nothing else: they are handed in, and checkpoints keep them.
"""

from __future__ import annotations

from abc import abstractmethod
from math import sqrt
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from core.layers.layer import Array
from core.schedules import LearningRate
from core.spec import PositiveNumber, Spec

Fraction = Annotated[float, Field(strict=True, ge=0, lt=1)]


class Optimizer(Spec):
    """A rule for one step down the gradient."""

    learning_rate: LearningRate = 0.1

    @property
    def decoupled_decay(self) -> float:
        """The part of each weight that goes at each step, per unit of the learning rate, beside the rule itself."""
        return 0.0

    @abstractmethod
    def memory(self) -> tuple[str, ...]:
        """The names of the vectors it remembers; all begin as zeros."""

    @abstractmethod
    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        """Move theta in place along the gradient g; `count` is 1 at the first step. g and room may be overwritten."""


class SGD(Optimizer):
    """theta -= rate v, with v = momentum v + g. Without momentum, v = g."""

    type: Literal["sgd"] = "sgd"
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


class Adam(Optimizer):
    """theta -= rate m' / (sqrt(v') + epsilon), with m and v running means of g and g^2, primes correcting their start.

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """

    type: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: PositiveNumber = 1e-8

    def memory(self) -> tuple[str, ...]:
        return "mean", "square"

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        m, v = memory
        m *= self.beta1
        m += np.multiply(g, 1 - self.beta1, out=room)
        v *= self.beta2
        np.multiply(g, g, out=room)
        room *= 1 - self.beta2
        v += room
        np.sqrt(v, out=room)
        room *= 1 / sqrt(1 - self.beta2**count)
        room += self.epsilon
        np.divide(m, room, out=room)
        room *= rate / (1 - self.beta1**count)
        theta -= room


AnyOptimizer = Annotated[SGD | Adam, Field(discriminator="type")]
