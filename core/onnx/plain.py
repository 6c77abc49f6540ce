"""Layers that are a product, a look-up, or another arrangement of the same numbers."""

from __future__ import annotations

import numpy as np

from core.layers.dense import Dense
from core.layers.dropout import Dropout
from core.layers.embedding import Embedding
from core.layers.flatten import Flatten
from core.layers.reshape import Reshape
from core.layers.residual import Residual
from core.onnx.graph import At


def dense(_: Dense, at: At) -> str:
    """x W + b."""
    return at.graph.node("Gemm", at.x, at.learned("weights"), at.learned("biases"))


def arranged(_: Flatten | Reshape, at: At) -> str:
    """The same numbers in the shape that the layer gives them."""
    return at.graph.reshape(at.x, *at.output_shape)


def dropout(_: Dropout, at: At) -> str:
    """x: nothing is dropped in a prediction."""
    return at.x


def residual(_: Residual, at: At) -> str:
    """x + F(x)."""
    return at.graph.node("Add", at.x, at.inside(at.x))


def embedding(layer: Embedding, at: At) -> str:
    """W[x]; NaN for what is no whole number from 0 to size - 1, since ONNX counts negative ones from the end."""
    g, x = at.graph, at.x
    in_range = g.node("And", g.node("GreaterOrEqual", x, g.numbers(0)), g.node("Less", x, g.numbers(layer.size)))
    known = g.node("And", in_range, g.node("Equal", x, g.node("Floor", x)))
    index = g.cast(g.node("Where", known, x, g.numbers(0)), "int64")
    rows = g.node("Gather", at.learned("weights"), index, axis=0)
    return g.node("Where", g.node("Unsqueeze", known, g.whole(-1)), rows, g.numbers(np.nan))
