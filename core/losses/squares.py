"""Squared errors."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.layers.layer import Array
from core.losses.loss import Loss


class Quadratic(Loss):
    """C_i = sum_j (a_j - y_j)^2. (M. Nielsen's cost is half of it: his learning rate is twice ours.)"""

    type: Literal["quadratic"] = "quadratic"

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        d = np.subtract(a, y, out=room)
        costs: Array = np.vecdot(d, d)
        return costs

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        return np.multiply(room, 2, out=room)


class MeanSquaredError(Loss):
    """C_i = 1/k sum_j (a_j - y_j)^2 over the k outputs."""

    type: Literal["mean_squared_error"] = "mean_squared_error"

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        d = np.subtract(a, y, out=room)
        costs: Array = np.vecdot(d, d)
        costs /= d.shape[1]
        return costs

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        room *= 2 / room.shape[1]
        return room
