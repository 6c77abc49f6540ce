"""Layer normalisation."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from core.initializers import Constant, Zeros
from core.layers.layer import Array, Context, Layer, Misfit, Scratch, Shape, Variable
from core.spec import PositiveNumber


class LayerNorm(Layer):
    """y = scale h + shift with h = (x - mean) / sqrt(variance + epsilon), mean and variance over the last axis.

    J. Ba, J. Kiros, G. Hinton, "Layer normalization", 2016. The variance is that with 1/k of the k values of the axis.
    With r = 1 / sqrt(variance + epsilon) and dh = scale dy, means again over the last axis:

        dx = r (dh - mean(dh) - h mean(dh h)).
    """

    type: Literal["layer_norm"] = "layer_norm"
    epsilon: PositiveNumber = 1e-5

    def forward(self, x: Array, ctx: Context) -> Array:
        scale, shift = ctx.parameters
        h, r = ctx.scratch
        np.subtract(x, x.mean(axis=-1, keepdims=True), out=h)
        variance = np.multiply(h, h, out=ctx.y).mean(axis=-1, keepdims=True)
        r[...] = 1 / np.sqrt(variance + self.epsilon)
        h *= r
        y = np.multiply(h, scale, out=ctx.y)
        y += shift
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        scale, _ = ctx.parameters
        dscale, dshift = ctx.gradients
        h, r = ctx.scratch
        k = dy.shape[-1]
        np.einsum("ij,ij->j", dy.reshape(-1, k), h.reshape(-1, k), out=dscale)
        np.sum(dy.reshape(-1, k), axis=0, out=dshift)
        if ctx.dx is None:
            return None
        dh = np.multiply(dy, scale, out=ctx.dx)
        along = np.einsum("...j,...j->...", dh, h)[..., None] / k
        dh -= dh.mean(axis=-1, keepdims=True)
        dh -= h * along
        dh *= r
        return dh

    def output_shape(self, shape: Shape) -> Shape:
        if shape[-1] == 1:
            detail = "A layer norm over a single number always gives 0: remove it, or put it behind a wider layer."
            raise Misfit(None, detail)
        return shape

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        return {"scale": Variable(shape[-1:], Constant(value=1.0)), "shift": Variable(shape[-1:], Zeros())}

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        return {"h": Scratch((rows, *shape)), "r": Scratch((rows, *shape[:-1], 1))}

    def flops(self, shape: Shape) -> int:
        return 8 * prod(shape)
