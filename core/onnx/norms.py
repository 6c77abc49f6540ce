"""Normalisation."""

from __future__ import annotations

import numpy as np

from core.layers.batch_norm import BatchNorm
from core.layers.layer_norm import LayerNorm
from core.onnx.graph import At


def batch_norm(layer: BatchNorm, at: At) -> str:
    """scale (x - mean) / sqrt(variance + epsilon) + shift, with the running mean and variance of each channel."""
    g = at.graph
    rate = at.array("scale") / np.sqrt(at.array("variance").astype(np.float64) + layer.epsilon)
    centred = g.node("Sub", at.x, at.learned("mean"))
    scaled = g.node("Mul", centred, g.numbers(rate, f"{g.place}scale_by_deviation"))
    return g.node("Add", scaled, at.learned("shift"))


def layer_norm(layer: LayerNorm, at: At) -> str:
    """Over the last axis."""
    scale, shift = at.learned("scale"), at.learned("shift")
    return at.graph.node("LayerNormalization", at.x, scale, shift, axis=-1, epsilon=layer.epsilon)
