"""Adam with Nesterov's momentum."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from core.layers.layer import Array
from core.optimizers.optimizer import Fraction, Optimizer
from core.schedules import LearningRate
from core.spec import PositiveNumber


class NAdam(Optimizer):
    """theta -= rate ((1 - mu_t) g / (1 - M_t) + mu_(t+1) m / (1 - M_(t+1))) / (sqrt(v') + epsilon).

    mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2) is a momentum that warms up, M_t the product of mu_1 to mu_t; m and
    v' are those of Adam. T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, as in PyTorch.
    """

    type: Literal["nadam"] = "nadam"
    learning_rate: LearningRate = 0.002
    beta1: Annotated[float, Field(strict=True, ge=0, le=0.999)] = 0.9
    beta2: Fraction = 0.999
    epsilon: PositiveNumber = 1e-8
    momentum_decay: Annotated[float, Field(strict=True, ge=0, le=1e6)] = 0.004

    def memory(self) -> tuple[str, ...]:
        return "mean", "square"

    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        m, v = memory
        of_g, of_m = self.shares(rate, count)
        m *= self.beta1
        m += np.multiply(g, 1 - self.beta1, out=room)
        v *= self.beta2
        np.multiply(g, g, out=room)
        room *= 1 - self.beta2
        v += room
        g *= of_g
        g += np.multiply(m, of_m, out=room)
        np.sqrt(v, out=room)
        room *= 1 / sqrt(1 - self.beta2**count)
        room += self.epsilon
        theta -= np.divide(g, room, out=room)

    def shares(self, rate: float, count: int) -> tuple[float, float]:
        """What g and m are multiplied by at step `count`."""
        products = _products(self.beta1, self.momentum_decay)
        until, after = (products[min(t, len(products) - 1)] for t in (count, count + 1))
        now, following = (_momentum(self.beta1, self.momentum_decay, t) for t in (count, count + 1))
        return rate * (1 - now) / (1 - until), rate * following / (1 - after)


def _momentum(beta1: float, decay: float, t: int) -> float:
    return float(beta1 * (1 - 0.5 * 0.96 ** (t * decay)))


@lru_cache(maxsize=8)
def _products(beta1: float, decay: float) -> tuple[float, ...]:
    """M_0, M_1, ... until M is nothing beside 1."""
    products = [1.0]
    while products[-1] > 1e-17:
        products.append(products[-1] * _momentum(beta1, decay, len(products)))
    return tuple(products)
