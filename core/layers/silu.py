"""The sigmoid linear unit, also called swish."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Scratch, Shape


class SiLU(Elementwise):
    """y = x s, elementwise, with s = 1 / (1 + e^-x); dy/dx = s (1 + x (1 - s)) = s + y (1 - s).

    S. Elfwing, E. Uchibe, K. Doya, Neural Networks 107 (2018), eq. 4 and 5.
    """

    type: Literal["silu"] = "silu"

    def forward(self, x: Array, ctx: Context) -> Array:
        (s,) = ctx.scratch
        t = np.abs(x, out=ctx.y)
        np.exp(np.negative(t, out=t), out=t)  # e^-|x| never overflows
        np.add(t, 1, out=s)
        np.copyto(t, 1, where=x >= 0)
        np.divide(t, s, out=s)  # 1 / (1 + e^-x) = e^x / (1 + e^x)
        return np.multiply(x, s, out=ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        (s,) = ctx.scratch
        dx = np.subtract(1, s, out=ctx.dx)
        dx *= ctx.y
        dx += s
        dx *= dy
        return dx

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return {"s": Scratch((rows, *shape))}

    def flops(self, shape: Shape) -> int:
        return 5 * prod(shape)
