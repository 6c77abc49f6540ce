"""A block of layers with a way around it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, field_validator

from core.layers.layer import (
    Array,
    Context,
    Layer,
    Misfit,
    Shape,
    backward_through,
    forward_through,
    shapes_through,
)

if TYPE_CHECKING:
    from core.layers import AnyLayer

DEPTH = 8


class Residual(Layer):
    """y = x + F(x), where F is the block of `layers` in a row; dx = dy + J^T dy, with J the Jacobian of F.

    x and F(x) have one shape. K. He et al., "Deep residual learning for image recognition", CVPR 2016, eq. 1.
    """

    type: Literal["residual"] = "residual"
    layers: tuple[AnyLayer, ...] = Field(min_length=1, max_length=256)

    @field_validator("layers")
    @classmethod
    def _not_too_deep(cls, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        if _depth(layers) > DEPTH:
            raise ValueError(
                f"Blocks may be nested {DEPTH} deep at most: put the innermost layers into the block around."
            )
        return layers

    def forward(self, x: Array, ctx: Context) -> Array:
        return np.add(x, forward_through(self.layers, x, ctx.inner), out=ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        through = backward_through(self.layers, dy, ctx.inner, ctx.first)
        return None if ctx.dx is None or through is None else np.add(dy, through, out=ctx.dx)

    def inner(self) -> tuple[Layer, ...]:
        return self.layers

    def output_shape(self, shape: Shape) -> Shape:
        result = shapes_through(self.layers, shape)[-1]
        if result != shape:
            before, behind = (" x ".join(map(str, s)) for s in (shape, result))
            detail = (
                f"The block turns {before} numbers into {behind}, but it is added to its input, so it must keep the "
                f"shape: {self._way_out(shape, result)}."
            )
            raise Misfit("layers", detail)
        return shape

    def _way_out(self, shape: Shape, result: Shape) -> str:
        arrange = f'{{"type": "reshape", "shape": {list(shape)}}}'
        if result == (*shape, 1):
            return f'put {{"type": "reshape", "shape": {list(result)}}} in front of it'
        if prod(result) == prod(shape):
            return f"end it with {arrange}"
        if len(result) == 1:
            dense = f'{{"type": "dense", "units": {prod(shape)}}}'
            return f"end it with {dense}" if len(shape) == 1 else f"end it with {dense}, {arrange}"
        if any(layer.type.startswith("conv") for layer in self.layers):
            return 'convolutions keep it with stride 1, padding "same" and as many filters as there are channels'
        return f"let it end in {' x '.join(map(str, shape))} again"

    def flops(self, shape: Shape) -> int:
        shapes = shapes_through(self.layers, shape)
        return prod(shape) + sum(layer.flops(s) for layer, s in zip(self.layers, shapes[:-1], strict=True))


def _depth(layers: tuple[Layer, ...]) -> int:
    return max((1 + _depth(layer.inner()) for layer in layers if layer.inner()), default=1)
