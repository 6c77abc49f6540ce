"""The mean of each channel."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

import numpy as np

from core.layers.axes import places
from core.layers.layer import Array, Context, Layer, Shape


class GlobalAvgPool(Layer):
    """y = mean of x over all axes but the batch and the last: images and sequences (n, ..., channels) to (n, channels).

    dx = dy / m at each of the m places.
    """

    type: Literal["global_avg_pool"] = "global_avg_pool"
    pools: ClassVar[bool] = True

    def forward(self, x: Array, ctx: Context) -> Array:
        return np.mean(x.reshape(len(x), -1, x.shape[-1]), axis=1, out=ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        if ctx.dx is None:
            return None
        flat = ctx.dx.reshape(len(dy), -1, dy.shape[-1])
        np.divide(dy[:, None], flat.shape[1], out=flat)
        return ctx.dx

    def output_shape(self, shape: Shape) -> Shape:
        return (places(shape, self.type)[1],)

    def flops(self, shape: Shape) -> int:
        return prod(shape)
