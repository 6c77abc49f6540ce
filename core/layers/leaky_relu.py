"""The rectified linear unit that lets a little through."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Shape


class LeakyReLU(Elementwise):
    """y = x for x > 0, else slope x, elementwise; dy/dx = 1 for x > 0, else slope. NaN stays NaN.

    A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.
    """

    type: Literal["leaky_relu"] = "leaky_relu"
    slope: Annotated[float, Field(strict=True, ge=0, le=1, examples=[0.01])] = 0.01
    kinks: ClassVar[tuple[float, ...]] = (0.0,)

    def forward(self, x: Array, ctx: Context) -> Array:
        np.copyto(ctx.y, x)
        return np.multiply(x, self.slope, out=ctx.y, where=x < 0)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        dx = np.multiply(dy, self.slope, out=ctx.dx)
        np.copyto(dx, dy, where=ctx.x > 0)
        return dx

    def flops(self, shape: Shape) -> int:
        return prod(shape)
