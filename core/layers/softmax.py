"""From scores to probabilities."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from core.layers.layer import Array, Context, Layer, Misfit, Shape


class Softmax(Layer):
    """y_i = e^(x_i) / sum_j e^(x_j) over the last axis; dx = y (dy - sum_j y_j dy_j)."""

    type: Literal["softmax"] = "softmax"

    def forward(self, x: Array, ctx: Context) -> Array:
        return softmax(x, ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        dx = np.multiply(ctx.y, dy, out=ctx.dx)
        mean = dx.sum(axis=-1, keepdims=True)
        np.subtract(dy, mean, out=dx)
        dx *= ctx.y
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        if shape[-1] == 1:
            detail = "A softmax over a single number always gives 1: use sigmoid, or put it behind a wider layer."
            raise Misfit(None, detail)
        return shape

    def flops(self, shape: Shape) -> int:
        return 5 * prod(shape)


def softmax(x: Array, out: Array) -> Array:
    """e^(x - max x) / sum over the last axis: the shift changes nothing but keeps e^x from overflowing."""
    np.subtract(x, x.max(axis=-1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=-1, keepdims=True)
    return out
