"""The same numbers in another arrangement."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from core.layers.layer import Array, Context, Layer, Misfit, Shape

Length = Annotated[int, Field(strict=True, ge=-1, le=2**31 - 1)]


class Reshape(Layer):
    """y = x, with the numbers of each example in the same row-major order; one length may be -1: what remains."""

    type: Literal["reshape"] = "reshape"
    shape: Annotated[tuple[Length, ...], Field(min_length=1, max_length=8, examples=[[28, 28, 1]])]
    reshapes: ClassVar[bool] = True

    @field_validator("shape")
    @classmethod
    def _sensible(cls, shape: Shape) -> Shape:
        if 0 in shape or shape.count(-1) > 1:
            raise ValueError("Each length must be at least 1, but one of them may be -1: what remains.")
        return shape

    def forward(self, x: Array, ctx: Context) -> Array:
        return x.reshape(len(x), *self.output_shape(x.shape[1:]))

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        return dy.reshape(ctx.x.shape)

    def output_shape(self, shape: Shape) -> Shape:
        numbers, told = prod(shape), prod(n for n in self.shape if n > 0)
        if numbers % told or (-1 not in self.shape and numbers != told):
            wanted = " x ".join(map(str, self.shape))
            raise Misfit(
                "shape",
                f"Each example has {numbers} numbers here, which cannot be arranged as {wanted}: "
                f"choose lengths whose product is {numbers}, one of them -1 for what remains.",
            )
        return tuple(numbers // told if n == -1 else n for n in self.shape)

    def flops(self, shape: Shape) -> int:
        return 0
