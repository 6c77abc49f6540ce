"""Cross-entropy over answers that are each yes or no."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from core.layers.layer import Array
from core.layers.sigmoid import sigmoid
from core.losses.class_weights import WeightedLoss


class BinaryCrossEntropy(WeightedLoss):
    """C_i = -w_i sum_j (y_j ln p_j + (1 - y_j) ln(1 - p_j)) with p = sigmoid(a): a are logits; dC_i/da = w_i (p - y).

    w_i is the weight of the example's class, or 1. The sum over outputs is the likelihood's, as M. Nielsen has it in
    chapter 3; some libraries take the mean.
    """

    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    logits: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True
    threshold: ClassVar[float] = 0.0

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        # The same as max(a, 0) - a y + ln(1 + e^-|a|), where nothing overflows and no logarithm sees 0.
        terms = np.negative(np.abs(a, out=room), out=room)
        np.log1p(np.exp(terms, out=room), out=room)
        terms += np.maximum(a, 0)
        terms -= a * y
        costs: Array = terms.sum(axis=1)
        return self.weighted(costs, y)

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        d = np.subtract(sigmoid(a, room), y, out=room)
        return self.weighted(d, y)

    def outputs(self, a: Array) -> Array:
        return sigmoid(a, np.empty_like(a))
