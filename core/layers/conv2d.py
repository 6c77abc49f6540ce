"""The convolution of images."""

from __future__ import annotations

from typing import Literal

from core.initializers import AnyInitializer, GlorotUniform, Zeros
from core.layers.axes import as_images, image
from core.layers.convolution import Convolution, Filters, check_groups
from core.layers.layer import Array, Context, Layer, Scratch, Shape, Variable
from core.layers.windows import Extents, Padding, both, slide
from core.spec import Count


class Conv2D(Layer):
    """y[p] = b + sum_i x[p stride + i dilation - before] W[i], over the cells i of the kernel, for each window p.

    x (n, rows, columns, channels) or (n, rows, columns), W (kernel rows, kernel columns, channels / groups, filters),
    b (filters), y (n, windows along the rows, along the columns, filters). `core/layers/convolution.py` has the sums,
    `core/layers/windows.py` the windows. Padding is with zeros.
    """

    type: Literal["conv2d"] = "conv2d"
    filters: Filters
    kernel: Extents
    stride: Extents = 1
    padding: Padding = "valid"
    dilation: Extents = 1
    groups: Count = 1
    weights: AnyInitializer = GlorotUniform()
    biases: AnyInitializer = Zeros()

    def forward(self, x: Array, ctx: Context) -> Array:
        W, b = ctx.parameters
        self.convolution(x.shape[1:]).forward(as_images(x), W, b, ctx.y, ctx.scratch)
        return ctx.y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        W, _ = ctx.parameters
        dx = None if ctx.dx is None else as_images(ctx.dx)
        self.convolution(ctx.x.shape[1:]).backward(as_images(ctx.x), W, dy, ctx.gradients, dx, ctx.scratch)
        return ctx.dx

    def output_shape(self, shape: Shape) -> Shape:
        return (*self.convolution(shape).windows.shape, self.filters)

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        return self.convolution(shape).parameters(both(self.kernel), self.weights, self.biases)

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return self.convolution(shape).scratch(rows)

    def flops(self, shape: Shape) -> int:
        return self.convolution(shape).flops

    def convolution(self, shape: Shape) -> Convolution:
        """The one that it is for inputs of this shape. Raises Misfit."""
        rows, columns, channels = image(shape, self.type)
        check_groups(self.groups, channels, self.filters)
        windows = slide((rows, columns), self.kernel, self.stride, self.padding, self.dilation, field="kernel")
        return Convolution(windows, channels, self.filters, self.groups)
