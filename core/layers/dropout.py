"""Dropout: when training, each value is dropped with probability `rate`."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.layers.layer import Array, Context, Layer, Scratch, Shape


class Dropout(Layer):
    """y = x m / (1 - rate) with a random mask m of zeros and ones when training, else y = x.

    N. Srivastava et al., JMLR 15 (2014), in the "inverted" form that leaves prediction untouched.
    """

    type: Literal["dropout"] = "dropout"
    rate: Annotated[float, Field(strict=True, ge=0, lt=1, examples=[0.5])]
    stochastic: ClassVar[bool] = True

    def forward(self, x: Array, ctx: Context) -> Array:
        if ctx.random is None:
            np.copyto(ctx.y, x)
            return ctx.y
        (mask,) = ctx.scratch
        ctx.random.keep(self.rate, out=mask)
        mask *= 1 / (1 - self.rate)
        return np.multiply(x, mask, out=ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        (mask,) = ctx.scratch
        return np.multiply(dy, 1 if ctx.random is None else mask, out=ctx.dx)

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return {"mask": Scratch((rows, *shape))}

    def flops(self, shape: Shape) -> int:
        return prod(shape)
