"""The convolution of images."""

from __future__ import annotations

from math import prod
from typing import Literal

from core.initializers import AnyInitializer, GlorotUniform, Zeros
from core.layers.axes import as_images, image
from core.layers.convolution import Convolution, Filters, check_groups, fans
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
        _, _, channels = image(shape, self.type)
        check_groups(self.groups, channels, self.filters)
        return (*self.convolution(shape).windows.shape, self.filters)

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        _, _, channels = image(shape, self.type)
        kernel = *both(self.kernel), channels // self.groups, self.filters
        fan = fans(both(self.kernel), channels, self.filters, self.groups)
        return {
            "weights": Variable(kernel, self.weights, *fan, penalised=True),
            "biases": Variable((self.filters,), self.biases, *fan),
        }

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return self.convolution(shape).scratch(image(shape, self.type)[2], self.filters, rows)

    def flops(self, shape: Shape) -> int:
        fan_in = self.parameters(shape)["weights"].fan_in
        return (2 * fan_in + 1) * prod(self.output_shape(shape))

    def convolution(self, shape: Shape) -> Convolution:
        """Where its windows stand on inputs of this shape."""
        rows, columns, _ = image(shape, self.type)
        windows = slide((rows, columns), self.kernel, self.stride, self.padding, self.dilation, field="kernel")
        return Convolution(windows, self.groups)
