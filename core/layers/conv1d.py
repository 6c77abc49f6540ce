"""The convolution of sequences."""

from __future__ import annotations

from typing import Literal

from core.initializers import AnyInitializer, GlorotUniform, Zeros
from core.layers.axes import sequence
from core.layers.convolution import Convolution, Filters, check_groups
from core.layers.layer import Array, Context, Layer, Scratch, Shape, Variable
from core.layers.windows import Extent, Padding1D, slide
from core.spec import Count


class Conv1D(Layer):
    """y[p] = b + sum_i x[p stride + i dilation - before] W[i], over the cells i of the kernel, for each window p.

    x (n, time, features), W (kernel, features / groups, filters), b (filters), y (n, windows, filters): what `conv2d`
    does to an image of one column. `core/layers/convolution.py` has the sums, `core/layers/windows.py` the windows.
    """

    type: Literal["conv1d"] = "conv1d"
    filters: Filters
    kernel: Extent
    stride: Extent = 1
    padding: Padding1D = "valid"
    dilation: Extent = 1
    groups: Count = 1
    weights: AnyInitializer = GlorotUniform()
    biases: AnyInitializer = Zeros()

    def forward(self, x: Array, ctx: Context) -> Array:
        W, b = ctx.parameters
        convolution = self.convolution(x.shape[1:])
        convolution.forward(x[:, :, None], W[:, None], b, ctx.y[:, :, None], ctx.scratch)
        return ctx.y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        x, dx, (W, _), (dW, db) = ctx.x, ctx.dx, ctx.parameters, ctx.gradients
        column = None if dx is None else dx[:, :, None]
        convolution = self.convolution(x.shape[1:])
        convolution.backward(x[:, :, None], W[:, None], dy[:, :, None], (dW[:, None], db), column, ctx.scratch)
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        return self.convolution(shape).windows.rows.count, self.filters

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        return self.convolution(shape).parameters((self.kernel,), self.weights, self.biases)

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return self.convolution(shape).scratch(rows)

    def flops(self, shape: Shape) -> int:
        return self.convolution(shape).flops

    def convolution(self, shape: Shape) -> Convolution:
        """The one that it is for inputs of this shape. Raises Misfit."""
        time, features = sequence(shape, self.type)
        check_groups(self.groups, features, self.filters)
        padding = self.padding if isinstance(self.padding, str) else (self.padding, 0)
        kernel, stride, dilation = (self.kernel, 1), (self.stride, 1), (self.dilation, 1)
        windows = slide((time, 1), kernel, stride, padding, dilation, field="kernel", names=("steps in time", ""))
        return Convolution(windows, features, self.filters, self.groups)
