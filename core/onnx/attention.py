"""Attention."""

from __future__ import annotations

from math import sqrt

import numpy as np

from core.layers.self_attention import SelfAttention
from core.onnx.graph import At, Graph


def self_attention(layer: SelfAttention, at: At) -> str:
    """(softmax(q k^T / sqrt(k)) v) V + c, in heads; steps that are masked are not looked at."""
    g, (time, d) = at.graph, at.input_shape
    x = g.node("Add", at.x, at.learned("positions")) if layer.positions else at.x
    W, b, size = at.array("weights"), at.array("biases"), d // layer.heads

    def part(name: str, place: int, order: tuple[int, ...]) -> str:
        columns = slice(place * d, (place + 1) * d)
        weights = g.numbers(W[:, columns], f"{g.place}weights_{name}")
        made = g.node("Add", g.node("MatMul", x, weights), g.numbers(b[columns], f"{g.place}biases_{name}"))
        return g.node("Transpose", g.reshape(made, time, layer.heads, size), perm=order)

    q, k, v = part("q", 0, (0, 2, 1, 3)), part("k", 1, (0, 2, 3, 1)), part("v", 2, (0, 2, 1, 3))
    scores = g.node("Mul", g.node("MatMul", q, k), g.numbers(1 / sqrt(size)))
    A = g.node("Softmax", scores, axis=-1) if at.mask is None else _softmax_over_valid(g, scores, at.mask)
    mixed = g.node("Transpose", g.node("MatMul", A, v), perm=(0, 2, 1, 3))
    y = g.node("MatMul", g.reshape(mixed, time, d), at.learned("output_weights"))
    return g.node("Add", y, at.learned("output_biases"))


def _softmax_over_valid(g: Graph, scores: str, mask: str) -> str:
    """Masked columns become zero, and rows without a valid column zero altogether."""
    valid = g.node("Unsqueeze", mask, g.whole(1, 2))
    lowest = g.node("Where", valid, scores, g.numbers(float(np.finfo(g.dtype).min)))
    shifted = g.node("Sub", lowest, g.node("ReduceMax", lowest, g.whole(-1)))
    shares = g.node("Where", valid, g.node("Exp", shifted), g.numbers(0))
    total = g.node("ReduceSum", shares, g.whole(-1))
    return g.node("Div", shares, g.node("Where", g.node("Equal", total, g.numbers(0)), g.numbers(1), total))
