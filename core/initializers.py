"""How parameters begin. One class each; `AnyInitializer` is the registry.

`fan_in` and `fan_out` are the numbers of values that flow into one output and out of one input of the layer.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from math import prod, sqrt
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from threadpoolctl import ThreadpoolController

from core.random import Random
from core.spec import PositiveNumber, Spec

Shape = tuple[int, ...]
Bounded = Annotated[float, Field(strict=True, ge=-1e30, le=1e30)]


class Initializer(Spec):
    """A way to draw the first values of a parameter."""

    drawing_bytes: ClassVar[int] = 9  # of memory for each value while it draws

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
    value: Bounded = 0.0

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return np.full(shape, float(self.value))


class Normal(Initializer):
    """N(mean, std^2)."""

    type: Literal["normal"] = "normal"
    mean: Bounded = 0.0
    std: Annotated[float, Field(strict=True, ge=0, le=1e30)] = 0.05

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        values = _normal(random, shape, self.std)
        values += self.mean
        return values


class Uniform(Initializer):
    """U(low, high)."""

    type: Literal["uniform"] = "uniform"
    low: Bounded = -0.05
    high: Bounded = 0.05

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low > self.high:
            raise ValueError("low must not be larger than high.")
        return self

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        values = random.uniform(shape)
        values *= self.high - self.low
        values += self.low
        return values


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


class LecunUniform(Initializer):
    """U(-a, a), a = sqrt(3 / fan_in): the variance of `lecun_normal`."""

    type: Literal["lecun_uniform"] = "lecun_uniform"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _symmetric(random, shape, sqrt(3 / fan_in))


class LecunNormal(Initializer):
    """N(0, 1 / fan_in). Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998, eq. 16."""

    type: Literal["lecun_normal"] = "lecun_normal"

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _normal(random, shape, sqrt(1 / fan_in))


class Orthogonal(Initializer):
    """gain Q, where Q has orthonormal columns, or rows if it is wide: all but the last axis count as one.

    Q comes from the QR decomposition of a standard normal matrix with R's diagonal made positive, so that every Q is
    equally likely. A. Saxe, J. McClelland, S. Ganguli, ICLR 2014; F. Mezzadri, Notices of the AMS 54 (2007), section 5.
    """

    type: Literal["orthogonal"] = "orthogonal"
    drawing_bytes: ClassVar[int] = 37
    gain: PositiveNumber = 1.0

    def draw(self, random: Random, shape: Shape, fan_in: int, fan_out: int) -> NDArray[Any]:
        columns = shape[-1] if shape else 1
        rows = prod(shape) // columns
        normal = random.normal((max(rows, columns), min(rows, columns)))
        # On one thread: with more the bits could depend on their number, and threads that wait for busy cores are slow.
        with _blas().limit(limits=1, user_api="blas"):
            Q, R = np.linalg.qr(normal)
        Q *= np.copysign(self.gain, np.diagonal(R))
        return (Q if rows >= columns else Q.T).reshape(shape)


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
    Zeros
    | Constant
    | Normal
    | Uniform
    | GlorotUniform
    | GlorotNormal
    | HeUniform
    | HeNormal
    | LecunUniform
    | LecunNormal
    | Orthogonal
    | NielsenLarge
    | NielsenScaled,
    Field(discriminator="type"),
]


@cache
def _blas() -> ThreadpoolController:
    """What the linear algebra of NumPy runs on; looking for it takes milliseconds."""
    return ThreadpoolController()


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
