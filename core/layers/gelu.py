"""The Gaussian error linear unit."""

from __future__ import annotations

from math import pi, prod, sqrt
from typing import Literal

import numpy as np

from core.layers.elementwise import Elementwise
from core.layers.erf import erf
from core.layers.layer import Array, Context, Scratch, Shape


class GELU(Elementwise):
    """y = x Phi(x), elementwise; dy/dx = Phi(x) + x phi(x).

    Phi(x) = (1 + erf(x / sqrt 2)) / 2 is the standard normal distribution and phi(x) = e^(-x^2 / 2) / sqrt(2 pi) its
    density: the exact form, not the one with tanh. D. Hendrycks, K. Gimpel, arXiv:1606.08415 (2016).
    """

    type: Literal["gelu"] = "gelu"

    def forward(self, x: Array, ctx: Context) -> Array:
        (Phi,) = ctx.scratch
        np.multiply(x, sqrt(0.5), out=ctx.y)
        erf(ctx.y, out=Phi)
        Phi += 1
        Phi *= 0.5
        return np.multiply(x, Phi, out=ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        (Phi,) = ctx.scratch
        dx = np.clip(ctx.x, -40, 40, out=ctx.dx)  # further out phi is 0 and the square might overflow
        dx *= dx
        dx *= -0.5
        np.exp(dx, out=dx)
        dx *= 1 / sqrt(2 * pi)
        dx *= ctx.x
        dx += Phi
        dx *= dy
        return dx

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return {"Phi": Scratch((rows, *shape))}

    def flops(self, shape: Shape) -> int:
        return 40 * prod(shape)
