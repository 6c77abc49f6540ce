"""Batch normalisation."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from core.initializers import Constant, Zeros
from core.layers.layer import Array, Context, Layer, Scratch, Shape, Variable
from core.spec import PositiveNumber


class BatchNorm(Layer):
    """y = scale h + shift with h = (x - mean) / sqrt(variance + epsilon), for each channel (the last axis) alone.

    S. Ioffe, C. Szegedy, ICML 2015. In training, mean and variance are those of the m values that a channel has in the
    batch (all axes but the last, variance with 1/m), and with r = 1 / sqrt(variance + epsilon)

        dx = scale r (dy - mean(dy) - h mean(dy h)).

    In prediction they are the running ones, which training moves: running = (1 - momentum) running + momentum batch,
    with 1/(m - 1) for the variance. A channel with a single value has no variance: y = shift, and nothing is moved.
    Sums are taken in float64. The padding of sequences counts like any other value.
    """

    type: Literal["batch_norm"] = "batch_norm"
    momentum: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.1
    epsilon: PositiveNumber = 1e-5

    def forward(self, x: Array, ctx: Context) -> Array:
        scale, shift = ctx.parameters
        mean, variance = ctx.state
        h, r = ctx.scratch
        axes, m = _but_last(x)
        if ctx.training:
            mean = x.mean(axis=axes, dtype=np.float64)
            np.subtract(x, mean, out=h, casting="same_kind")
            variance = np.multiply(h, h, out=ctx.y).mean(axis=axes, dtype=np.float64)
            if m > 1:
                self._move(ctx.state[0], mean)
                self._move(ctx.state[1], variance * (m / (m - 1)))
        else:
            np.subtract(x, mean, out=h)
        r[...] = 1 / np.sqrt(variance + self.epsilon)
        h *= r
        y = np.multiply(h, scale, out=ctx.y)
        y += shift
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        scale, _ = ctx.parameters
        dscale, dshift = ctx.gradients
        h, r = ctx.scratch
        axes, m = _but_last(dy)
        dshift[...] = dy.sum(axis=axes, dtype=np.float64)
        dscale[...] = np.einsum("ij,ij->j", dy.reshape(m, -1), h.reshape(m, -1), dtype=np.float64)
        if ctx.dx is None:
            return None
        dx = ctx.dx
        if ctx.training:
            np.multiply(h, dscale / m, out=dx)
            np.subtract(dy, dx, out=dx)
            dx -= dshift / m
        else:
            np.copyto(dx, dy)
        dx *= scale * r
        return dx

    def _move(self, running: Array, batch: Array) -> None:
        running *= 1 - self.momentum
        running += self.momentum * batch

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        return {"scale": Variable(shape[-1:], Constant(value=1.0)), "shift": Variable(shape[-1:], Zeros())}

    def state(self, shape: Shape) -> dict[str, Variable]:
        return {"mean": Variable(shape[-1:], Zeros()), "variance": Variable(shape[-1:], Constant(value=1.0))}

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return {"h": Scratch((rows, *shape)), "r": Scratch(shape[-1:])}

    def flops(self, shape: Shape) -> int:
        return 8 * prod(shape)


def _but_last(x: Array) -> tuple[tuple[int, ...], int]:
    """All axes but the last, and how many values they hold."""
    return tuple(range(x.ndim - 1)), prod(x.shape[:-1])
