"""The mean of each window of an image."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

import numpy as np

from core.layers.axes import as_images, image
from core.layers.layer import Array, Context, Layer, Scratch, Shape
from core.layers.windows import Extents, Padding, Windows, both, pool


class AvgPool2D(Layer):
    """y[p] = mean_i x[p stride + i - before] over the cells i of each window p that lie inside the image.

    x (n, rows, columns, channels) or (n, rows, columns), y (n, windows along the rows, along the columns, channels).
    Padding does not count: at the border the mean is over fewer cells.
    """

    type: Literal["avg_pool2d"] = "avg_pool2d"
    pools: ClassVar[bool] = True
    size: Extents
    stride: Extents | None = None
    padding: Padding = "valid"

    def forward(self, x: Array, ctx: Context) -> Array:
        x, y, (counts, _) = as_images(x), ctx.y, ctx.scratch
        y[...] = counts[...] = 0
        for _, windows, inputs in self.windows(x.shape[1:]).cells():
            y[windows] += x[inputs]
            counts[windows[1:]] += 1
        y /= counts
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        if ctx.dx is None:
            return None
        dx, (counts, share) = as_images(ctx.dx), ctx.scratch
        np.divide(dy, counts, out=share)
        dx[...] = 0
        for _, windows, inputs in self.windows(dx.shape[1:]).cells():
            dx[inputs] += share[windows]
        return ctx.dx

    def output_shape(self, shape: Shape) -> Shape:
        return (*self.windows(shape).shape, image(shape, self.type)[2])

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        windows = self.windows(shape).shape
        return {"counts": Scratch((*windows, 1)), "share": Scratch((rows, *self.output_shape(shape)))}

    def flops(self, shape: Shape) -> int:
        return (prod(both(self.size)) + 1) * prod(self.output_shape(shape))

    def windows(self, shape: Shape) -> Windows:
        """Where they stand in images of this shape."""
        return pool(image(shape, self.type), self.size, self.stride, self.padding)
