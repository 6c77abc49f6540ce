"""The logistic function."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Shape


class Sigmoid(Elementwise):
    """y = 1 / (1 + e^-x), elementwise; dy/dx = y (1 - y)."""

    type: Literal["sigmoid"] = "sigmoid"

    def forward(self, x: Array, ctx: Context) -> Array:
        return sigmoid(x, ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        dx = np.subtract(1, ctx.y, out=ctx.dx)
        dx *= ctx.y
        dx *= dy
        return dx

    def flops(self, shape: Shape) -> int:
        return 4 * prod(shape)


def sigmoid(x: Array, out: Array) -> Array:
    """1 / (1 + e^-x); x below -88 counts as -88, where float32 would overflow (y is 6e-39 there). NaN stays NaN."""
    # Not np.negative: NumPy 2.4.6 writes wrong numbers from one column of four (float32) to another.
    np.multiply(x, -1, out=out)
    np.minimum(out, 88, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)
