"""The fully connected layer."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from core.initializers import AnyInitializer, GlorotUniform, Zeros
from core.layers.layer import Array, Context, Layer, Misfit, Shape, Variable


class Dense(Layer):
    """y = x W + b, with x (n, inputs), W (inputs, units), b (units), y (n, units)."""

    type: Literal["dense"] = "dense"
    units: Annotated[int, Field(strict=True, ge=1, le=2**20, examples=[16])]
    weights: AnyInitializer = GlorotUniform()
    biases: AnyInitializer = Zeros()

    def forward(self, x: Array, ctx: Context) -> Array:
        W, b = ctx.parameters
        y = np.matmul(x, W, out=ctx.y)
        y += b
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        W, _ = ctx.parameters
        dW, db = ctx.gradients
        np.matmul(ctx.x.T, dy, out=dW)
        np.sum(dy, axis=0, out=db)
        return None if ctx.dx is None else np.matmul(dy, W.T, out=ctx.dx)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            size = " x ".join(map(str, shape))
            raise Misfit(
                None,
                f"A dense layer takes a flat row of numbers, but here each example is {size}: "
                'put {"type": "flatten"} before it.',
            )
        return (self.units,)

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        fans = shape[0], self.units
        return {
            "weights": Variable(fans, self.weights, *fans, penalised=True),
            "biases": Variable((self.units,), self.biases, *fans),
        }

    def flops(self, shape: Shape) -> int:
        return (2 * shape[0] + 1) * self.units
