"""Attention of a sequence to itself."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.initializers import AnyInitializer, GlorotUniform, Zeros
from core.layers.layer import Array, Context, Layer, Misfit, Scratch, Shape, Variable
from core.layers.softmax import softmax
from core.spec import Flag


class SelfAttention(Layer):
    """Each step of x (n, time, d) becomes a mixture of what all steps say, in `heads` parts of width k = d / heads:

        (q, k, v) = (x + P) W + b,  A = softmax(q k^T / sqrt(k)),  m = A v,  y = m V + c

    with W (d, 3 d), b (3 d), V (d, d), c (d); the columns of q, of k and of v are cut into the heads, and m joins them
    again. P (time, d) are the learned positions, if wanted. Masked steps are not looked at: their columns of A are 0.
    A. Vaswani et al., "Attention is all you need", NeurIPS 2017, 3.2. Backward:

        dm = dy V^T,  dA = dm v^T,  ds = A (dA - sum_j A_j dA_j) / sqrt(k),
        dq = ds k,  dk = ds^T q,  dv = A^T dm,  dx = (dq, dk, dv) W^T,  dP = sum_n dx.
    """

    type: Literal["self_attention"] = "self_attention"
    masks: ClassVar[bool] = True
    heads: Annotated[int, Field(strict=True, ge=1, le=2**10, examples=[4])] = 1
    positions: Flag = False
    weights: AnyInitializer = GlorotUniform()
    biases: AnyInitializer = Zeros()

    def forward(self, x: Array, ctx: Context) -> Array:
        W, b, V, c = ctx.parameters[:4]
        placed, qkv, A, m, *_ = ctx.scratch
        if self.positions:
            np.add(x, ctx.parameters[4], out=placed)
        np.matmul(placed if self.positions else x, W, out=qkv)
        qkv += b
        q, k, v = _heads(qkv, self.heads, 3)
        np.matmul(q, k.swapaxes(-1, -2), out=A)
        A *= 1 / sqrt(k.shape[-1])
        _softmax_over_valid(A, ctx.mask)
        (mixed,) = _heads(m, self.heads)
        np.matmul(A, v, out=mixed)
        y = np.matmul(m, V, out=ctx.y)
        y += c
        return y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        W, _, V, _ = ctx.parameters[:4]
        dW, db, dV, dc = ctx.gradients[:4]
        placed, qkv, A, m, dqkv, dA, dm, dplaced = ctx.scratch
        x = placed if self.positions else ctx.x
        d = x.shape[-1]
        np.matmul(m.reshape(-1, d).T, dy.reshape(-1, d), out=dV)
        np.sum(dy, axis=(0, 1), out=dc)
        np.matmul(dy, V.T, out=dm)

        q, k, v = _heads(qkv, self.heads, 3)
        dq, dk, dv = _heads(dqkv, self.heads, 3)
        (dmixed,) = _heads(dm, self.heads)
        np.matmul(dmixed, v.swapaxes(-1, -2), out=dA)
        np.matmul(A.swapaxes(-1, -2), dmixed, out=dv)
        dA -= np.einsum("...j,...j->...", A, dA)[..., None]
        dA *= A
        dA *= 1 / sqrt(k.shape[-1])
        np.matmul(dA, k, out=dq)
        np.matmul(dA.swapaxes(-1, -2), q, out=dk)

        np.matmul(x.reshape(-1, d).T, dqkv.reshape(-1, 3 * d), out=dW)
        np.sum(dqkv, axis=(0, 1), out=db)
        if ctx.dx is None and not self.positions:
            return None
        dx = np.matmul(dqkv, W.T, out=dplaced if ctx.dx is None else ctx.dx)
        if self.positions:
            np.sum(dx, axis=0, out=ctx.gradients[4])
        return ctx.dx

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            size = " x ".join(map(str, shape))
            way_out = 'leave out {"type": "flatten"}' if len(shape) == 1 else 'put {"type": "reshape", ...} before it'
            raise Misfit(
                None, f"Attention takes sequences, time x features, but here each example is {size}: {way_out}."
            )
        if shape[1] % self.heads:
            heads = [h for h in range(1, min(shape[1], 64) + 1) if shape[1] % h == 0]
            detail = f"{shape[1]} features cannot be shared among {self.heads} heads: use one of {heads}."
            raise Misfit("heads", detail)
        return shape

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        time, d = shape
        found = {
            "weights": Variable((d, 3 * d), self.weights, d, d, penalised=True),
            "biases": Variable((3 * d,), self.biases, d, d),
            "output_weights": Variable((d, d), self.weights, d, d, penalised=True),
            "output_biases": Variable((d,), self.biases, d, d),
        }
        return found | ({"positions": Variable((time, d), Zeros())} if self.positions else {})

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        time, d = shape
        sequence, each = (rows, time, d), (rows, self.heads, time, time)
        placed = sequence if self.positions else (0,)
        return {
            "placed": Scratch(placed),
            "qkv": Scratch((rows, time, 3 * d)),
            "A": Scratch(each),
            "m": Scratch(sequence),
            "dqkv": Scratch((rows, time, 3 * d)),
            "dA": Scratch(each),
            "dm": Scratch(sequence),
            "dplaced": Scratch(placed),
        }

    def flops(self, shape: Shape) -> int:
        time, d = shape
        return time * d * (8 * d + 4 * time + 5) + 5 * self.heads * time * time


def _heads(joined: Array, heads: int, parts: int = 1) -> list[Array]:
    """Views (n, heads, time, k) of (n, time, parts · heads · k), one for each part."""
    n, time, width = joined.shape
    cut = joined.reshape(n, time, parts, heads, width // (parts * heads))
    return [cut[:, :, part].swapaxes(1, 2) for part in range(parts)]


def _softmax_over_valid(scores: Array, mask: Array | None) -> Array:
    """In place; masked columns become zero, and rows without a valid column zero altogether."""
    if mask is None:
        return softmax(scores, scores)
    np.copyto(scores, -np.inf, where=mask[:, None, None, :] == 0)
    peak = scores.max(axis=-1, keepdims=True)
    scores -= np.where(np.isneginf(peak), 0, peak)
    np.exp(scores, out=scores)
    total = scores.sum(axis=-1, keepdims=True)
    scores /= np.where(total == 0, 1, total)
    return scores
