"""How parameters begin. One class each; `AnyInitializer` is the registry.

`fan_in` and `fan_out` are the numbers of values that flow into one output and out of one input of the layer.
"""

from __future__ import annotations

from abc import abstractmethod
from math import sqrt
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.random import Random
from core.spec import Number, Spec

Shape = tuple[int, ...]


class Initializer(Spec):
    """A way to draw the first values of a parameter."""

    @abstractmethod
    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        """A float64 array of `shape`."""


class Zeros(Initializer):
    """All zero."""

    type: Literal["zeros"] = "zeros"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return np.zeros(shape)


class Constant(Initializer):
    """All of one value."""

    type: Literal["constant"] = "constant"
    value: Number = 0.0

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return np.full(shape, float(self.value))


class GlorotUniform(Initializer):
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)). X. Glorot, Y. Bengio, AISTATS 2010, eq. 16."""

    type: Literal["glorot_uniform"] = "glorot_uniform"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _symmetric(random, shape, sqrt(6 / (fan_in + fan_out)))


class GlorotNormal(Initializer):
    """N(0, 2 / (fan_in + fan_out)). X. Glorot, Y. Bengio, AISTATS 2010, eq. 12."""

    type: Literal["glorot_normal"] = "glorot_normal"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _normal(random, shape, sqrt(2 / (fan_in + fan_out)))


class HeUniform(Initializer):
    """U(-a, a), a = sqrt(6 / fan_in): the variance of `he_normal`. K. He et al., ICCV 2015."""

    type: Literal["he_uniform"] = "he_uniform"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _symmetric(random, shape, sqrt(6 / fan_in))


class HeNormal(Initializer):
    """N(0, 2 / fan_in), made for ReLU. K. He et al., ICCV 2015, eq. 10."""

    type: Literal["he_normal"] = "he_normal"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _normal(random, shape, sqrt(2 / fan_in))


class NielsenLarge(Initializer):
    """N(0, 1). M. Nielsen, "Neural Networks and Deep Learning", chapter 1; his biases begin so too."""

    type: Literal["nielsen_large"] = "nielsen_large"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _normal(random, shape, 1.0)


class NielsenScaled(Initializer):
    """N(0, 1 / fan_in). M. Nielsen, "Neural Networks and Deep Learning", chapter 3."""

    type: Literal["nielsen_scaled"] = "nielsen_scaled"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _normal(random, shape, sqrt(1 / fan_in))


AnyInitializer = Annotated[
    Zeros | Constant | GlorotUniform | GlorotNormal | HeUniform | HeNormal | NielsenLarge | NielsenScaled,
    Field(discriminator="type"),
]


# In place, since a drawn matrix may be the largest array of a run.


def _symmetric(random: Random, shape: Shape, bound: float) -> NDArray[Any]:
    values = random.uniform(shape)
    values -= 0.5
    values *= 2 * bound
    return values


def _normal(random: Random, shape: Shape, deviation: float) -> NDArray[Any]:
    values = random.normal(shape)
    values *= deviation
    return values
