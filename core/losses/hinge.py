"""The hinge: the right class must win by a margin."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from core.layers.layer import Array
from core.losses.loss import Loss


class Hinge(Loss):
    """C_i = max(0, 1 + a_r - a_t): t is the right class, r its strongest rival, the first one if there are several.

    K. Crammer, Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", JMLR 2
    (2001). Where one output tells two classes apart, C_i = max(0, 1 - s a) with s = 2y - 1, which is -1 or 1:
    C. Cortes, V. Vapnik, "Support-vector networks", Machine Learning 20 (1995). The derivative at the kink is 0.
    """

    type: Literal["hinge"] = "hinge"
    classes_only: ClassVar[bool] = True
    threshold: ClassVar[float] = 0.0
    even: ClassVar[float] = 0.0

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        # The gradient is known as soon as the cost is, so it is what is left in room.
        if a.shape[1] == 1:
            s = 2 * y - 1
            margin = 1 - s * a
            np.multiply(-s, margin > 0, out=room)
            costs: Array = np.maximum(margin[:, 0], 0)
            return costs
        rows, right = np.arange(len(a)), y.argmax(axis=1)
        np.copyto(room, a)
        room[rows, right] = -np.inf
        rival = room.argmax(axis=1)
        costs = np.maximum(1 + room[rows, rival] - a[rows, right], 0)
        room.fill(0)
        room[rows, rival] = costs > 0
        room[rows, right] = -room[rows, rival]
        return costs

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        return room

    def sides(self, a: Array, y: Array) -> Array:
        gradient = np.empty_like(a)
        self.forward(a, y, gradient)
        return gradient
