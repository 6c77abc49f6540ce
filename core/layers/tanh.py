"""The hyperbolic tangent."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Shape


class Tanh(Elementwise):
    """y = tanh x, elementwise; dy/dx = 1 - y^2."""

    type: Literal["tanh"] = "tanh"

    def forward(self, x: Array, ctx: Context) -> Array:
        return np.tanh(x, out=ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        dx = np.multiply(ctx.y, ctx.y, out=ctx.dx)
        np.subtract(1, dx, out=dx)
        dx *= dy
        return dx

    def flops(self, shape: Shape) -> int:
        return 4 * prod(shape)
