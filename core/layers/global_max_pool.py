"""The largest value of each channel."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

import numpy as np

from core.layers.axes import places
from core.layers.layer import Array, Context, Layer, Scratch, Shape


class GlobalMaxPool(Layer):
    """y = max of x over all axes but the batch and the last: images and sequences (n, ..., channels) to (n, channels).

    The gradient goes to the winner alone: of equal ones the first in row-major order. NaN in a channel makes its y NaN.
    """

    type: Literal["global_max_pool"] = "global_max_pool"
    pools: ClassVar[bool] = True

    def forward(self, x: Array, ctx: Context) -> Array:
        (winners,) = ctx.scratch
        flat = x.reshape(len(x), -1, x.shape[-1])
        np.argmax(flat, axis=1, out=winners)
        ctx.y[...] = np.take_along_axis(flat, winners[:, None], axis=1)[:, 0]
        return ctx.y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        if ctx.dx is None:
            return None
        (winners,) = ctx.scratch
        ctx.dx[...] = 0
        flat = ctx.dx.reshape(len(dy), -1, dy.shape[-1])
        np.put_along_axis(flat, winners[:, None], dy[:, None], axis=1)
        return ctx.dx

    def sides(self, ctx: Context) -> list[Array]:
        return [ctx.scratch[0]]

    def output_shape(self, shape: Shape) -> Shape:
        return (places(shape, self.type)[1],)

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return {"winners": Scratch((rows, *self.output_shape(shape)), "intp")}

    def flops(self, shape: Shape) -> int:
        return prod(shape)
