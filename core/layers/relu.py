"""The rectified linear unit."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

import numpy as np

from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Shape


class ReLU(Elementwise):
    """y = max(0, x), elementwise; dy/dx = 1 for x > 0, else 0. NaN stays NaN."""

    type: Literal["relu"] = "relu"
    kinks: ClassVar[tuple[float, ...]] = (0.0,)

    def forward(self, x: Array, ctx: Context) -> Array:
        return np.maximum(x, 0, out=ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        return np.multiply(dy, ctx.y > 0, out=ctx.dx)

    def flops(self, shape: Shape) -> int:
        return prod(shape)
