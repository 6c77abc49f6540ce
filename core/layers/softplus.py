"""A smooth form of max(0, x)."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Shape


class Softplus(Elementwise):
    """y = log(1 + e^x), elementwise; dy/dx = 1 / (1 + e^-x) = 1 - e^-y.

    Computed as max(0, x) + log(1 + e^-|x|), which never overflows, for every x: nothing is cut off to a straight line.
    """

    type: Literal["softplus"] = "softplus"

    def forward(self, x: Array, ctx: Context) -> Array:
        y = np.abs(x, out=ctx.y)
        np.exp(np.negative(y, out=y), out=y)
        np.log1p(y, out=y)
        return np.add(y, x, out=y, where=x > 0)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        dx = np.negative(ctx.y, out=ctx.dx)
        np.expm1(dx, out=dx)
        np.negative(dx, out=dx)
        dx *= dy
        return dx

    def flops(self, shape: Shape) -> int:
        return 5 * prod(shape)
