"""From an image, or any block of numbers, to a flat row."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

from core.layers.layer import Array, Context, Layer, Shape


class Flatten(Layer):
    """y = x, with all axes but the batch joined in row-major order: (n, a, b, ...) to (n, a b ...)."""

    type: Literal["flatten"] = "flatten"
    reshapes: ClassVar[bool] = True

    def forward(self, x: Array, ctx: Context) -> Array:
        return x.reshape(len(x), -1)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        return dy.reshape(ctx.x.shape)

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def flops(self, shape: Shape) -> int:
        return 0
