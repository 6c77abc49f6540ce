"""Errors that outliers do not rule."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.layers.layer import Array
from core.losses.loss import Loss
from core.spec import PositiveNumber


class MeanAbsoluteError(Loss):
    """C_i = 1/k sum_j |d_j| with d = a - y, over the k outputs; dC_i/da = sign(d) / k, which is 0 where d is."""

    type: Literal["mean_absolute_error"] = "mean_absolute_error"

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        d = np.subtract(a, y, out=room)
        costs: Array = np.abs(d).mean(axis=1)
        return costs

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        d = np.sign(room, out=room)
        d /= d.shape[1]
        return d

    def sides(self, a: Array, y: Array) -> Array:
        signs: Array = np.sign(a - y)
        return signs


class Huber(Loss):
    """C_i = 1/k sum_j h(d_j) with d = a - y; h(d) = d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2).

    With c = clip(d, -delta, delta) that is h(d) = c (d - c / 2), and dC_i/da = c / k. P. Huber, "Robust estimation of a
    location parameter", Annals of Mathematical Statistics 35 (1964).
    """

    type: Literal["huber"] = "huber"
    delta: PositiveNumber = 1.0

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        d = a - y
        c = np.clip(d, -self.delta, self.delta, out=room)
        d -= c / 2
        costs: Array = np.vecdot(c, d)
        costs /= c.shape[1]
        return costs

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        room /= room.shape[1]
        return room
