"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from core.layers.layer import Array
from core.optimizers.optimizer import Fraction, Optimizer
from core.schedules import LearningRate
from core.spec import PositiveNumber


class Moments(Optimizer):
    """Remembers m and v, the running means of g and g^2."""

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


class Adam(Moments):
    """theta -= rate m' / (sqrt(v') + epsilon), with m and v running means of g and g^2, primes correcting their start.

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """

    type: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001


class AdamW(Moments):
    """w -= rate weight_decay w for the weights, then a step of Adam for all parameters.

    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2, with the rate as PyTorch
    has it. (PyTorch lets biases decay too, unless told otherwise.)
    """

    type: Literal["adamw"] = "adamw"
    learning_rate: LearningRate = 0.001
    weight_decay: Annotated[float, Field(strict=True, ge=0, le=1e30)] = 0.01

    @property
    def decoupled_decay(self) -> float:
        return self.weight_decay
