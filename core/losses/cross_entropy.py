"""Cross-entropy over classes of which one is right."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.layers.layer import Array
from core.layers.softmax import softmax
from core.losses.class_weights import WeightedLoss
from core.schema import ClassTarget, RealTarget


class CrossEntropy(WeightedLoss):
    """C_i = -w_i sum_j t_j ln p_j with p = softmax(a): a are logits; dC_i/da = w_i (p - t).

    t = (1 - s) y + s/k over the k classes, with the label smoothing s (C. Szegedy et al., CVPR 2016, section 7). w_i is
    the weight of the example's class, or 1. (PyTorch weighs the smoothed part of each class by that class's weight.)
    """

    type: Literal["cross_entropy"] = "cross_entropy"
    logits: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True
    label_smoothing: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.0

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        # ln p_j = s_j - ln sum e^s with s = a - max a: no logarithm of a vanishing p, no overflow.
        s = np.subtract(a, a.max(axis=1, keepdims=True), out=room)
        costs: Array = np.vecdot(s, y)
        if self.label_smoothing:
            costs *= 1 - self.label_smoothing
            costs += self.label_smoothing * s.mean(axis=1)
        p = np.exp(s, out=room)
        total = p.sum(axis=1)
        p /= total[:, None]
        np.subtract(np.log(total), costs, out=costs)
        return self.weighted(costs, y)

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        d = np.subtract(room, y, out=room)
        if self.label_smoothing:
            d += self.label_smoothing * (y - 1 / y.shape[1])
        return self.weighted(d, y)

    def aims(self, y: Array) -> Array:
        aims: Array = (1 - self.label_smoothing) * y + self.label_smoothing / y.shape[1]
        return aims

    def outputs(self, a: Array) -> Array:
        return softmax(a, np.empty_like(a))

    def widths(self, target: ClassTarget | RealTarget) -> tuple[int, ...]:
        return (target.width,)
