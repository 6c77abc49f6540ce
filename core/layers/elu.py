"""The exponential linear unit."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Shape


class ELU(Elementwise):
    """y = x for x > 0, else alpha (e^x - 1), elementwise; dy/dx = 1 for x > 0, else alpha e^x = y + alpha.

    D.-A. Clevert, T. Unterthiner, S. Hochreiter, ICLR 2016, eq. 15 and 16. NaN stays NaN.
    """

    type: Literal["elu"] = "elu"
    alpha: Annotated[float, Field(strict=True, gt=0, le=1e6, examples=[1.0])] = 1.0
    kinks: ClassVar[tuple[float, ...]] = (0.0,)

    def forward(self, x: Array, ctx: Context) -> Array:
        y = np.minimum(x, 0, out=ctx.y)  # where x is large, e^x would overflow
        np.expm1(y, out=y)
        y *= self.alpha
        np.copyto(y, x, where=x > 0)
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        dx = np.add(ctx.y, self.alpha, out=ctx.dx)
        np.copyto(dx, 1, where=ctx.x > 0)
        dx *= dy
        return dx

    def flops(self, shape: Shape) -> int:
        return 4 * prod(shape)
