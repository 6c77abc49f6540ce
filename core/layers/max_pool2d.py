"""The largest value in each window of an image."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

import numpy as np

from core.layers.axes import as_images, image
from core.layers.layer import Array, Context, Layer, Scratch, Shape
from core.layers.windows import Extents, Padding, Windows, both, pool


class MaxPool2D(Layer):
    """y[p] = max_i x[p stride + i - before] over the cells i of each window p, in every channel by itself.

    x (n, rows, columns, channels) or (n, rows, columns), y (n, windows along the rows, along the columns, channels).
    Padding counts as minus infinity. The gradient goes to the winner alone: of equal ones the first in row-major order.
    NaN in a window makes its y NaN.
    """

    type: Literal["max_pool2d"] = "max_pool2d"
    pools: ClassVar[bool] = True
    size: Extents
    stride: Extents | None = None
    padding: Padding = "valid"

    def forward(self, x: Array, ctx: Context) -> Array:
        x, y, (winners, larger) = as_images(x), ctx.y, ctx.scratch
        y[...] = -np.inf
        winners[...] = 0
        for cell, windows, inputs in self.windows(x.shape[1:]).cells():
            np.greater(x[inputs], y[windows], out=larger[windows])
            np.copyto(winners[windows], self._number(cell), where=larger[windows])
            np.maximum(x[inputs], y[windows], out=y[windows])
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        if ctx.dx is None:
            return None
        dx, (winners, won) = as_images(ctx.dx), ctx.scratch
        dx[...] = 0
        for cell, windows, inputs in self.windows(dx.shape[1:]).cells():
            np.equal(winners[windows], self._number(cell), out=won[windows])
            np.add(dx[inputs], dy[windows], out=dx[inputs], where=won[windows])
        return ctx.dx

    def sides(self, ctx: Context) -> list[Array]:
        return [ctx.scratch[0]]

    def output_shape(self, shape: Shape) -> Shape:
        return (*self.windows(shape).shape, image(shape, self.type)[2])

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        y = rows, *self.output_shape(shape)
        number = np.min_scalar_type(prod(both(self.size)) - 1)
        return {"winners": Scratch(y, number.name), "larger": Scratch(y, "bool")}

    def flops(self, shape: Shape) -> int:
        return prod(both(self.size)) * prod(self.output_shape(shape))

    def windows(self, shape: Shape) -> Windows:
        """Where they stand in images of this shape."""
        return pool(image(shape, self.type), self.size, self.stride, self.padding)

    def _number(self, cell: Shape) -> int:
        """The number of a cell of the window, in row-major order."""
        return cell[0] * both(self.size)[1] + cell[1]
