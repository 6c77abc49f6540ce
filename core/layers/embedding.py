"""Whole numbers that stand for words, categories or bytes, as vectors that are learned."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from core.initializers import AnyInitializer, Normal
from core.layers.layer import Array, Context, Layer, Scratch, Shape, Variable

LARGEST = 2**24  # up to which float32 counts exactly


class Embedding(Layer):
    """y = W[x]: each whole number of x (n, ...), from 0 to size - 1, becomes its row of W (size, dimension).

    y is (n, ..., dimension). dW[k] is the sum of dy over the places where x is k. A whole number has no derivative: dx
    is zero. Numbers outside are refused before training and prediction; a stray one would give NaN, never another row.
    """

    type: Literal["embedding"] = "embedding"
    size: Annotated[int, Field(strict=True, ge=1, le=LARGEST, examples=[256])]
    dimension: Annotated[int, Field(strict=True, ge=1, le=2**16, examples=[16])]
    weights: AnyInitializer = Normal(std=1.0)

    def forward(self, x: Array, ctx: Context) -> Array:
        (W,) = ctx.parameters
        index, known = ctx.scratch
        np.copyto(known, (x >= 0) & (x < self.size) & (x == np.floor(x)))
        np.copyto(index, np.where(known, x, 0), casting="unsafe")
        y = np.take(W, index, axis=0, out=ctx.y, mode="clip")
        if not known.all():
            y[~known] = np.nan
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        (dW,) = ctx.gradients
        index, _ = ctx.scratch
        dW[...] = 0
        np.add.at(dW, index, dy)
        if ctx.dx is not None:
            ctx.dx[...] = 0
        return ctx.dx

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape, self.dimension)

    def categories(self) -> int | None:
        return self.size

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        fans = self.size, self.dimension
        return {"weights": Variable(fans, self.weights, *fans, penalised=True)}

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return {"index": Scratch((rows, *shape), "int64"), "known": Scratch((rows, *shape), "bool")}

    def flops(self, shape: Shape) -> int:
        return prod(shape) * self.dimension
