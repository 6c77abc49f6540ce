"""What holds weights and gradients back: penalties, decay, a bound on norms, and clipping.

They enter a step in this order, around the optimizer's own rule; g begins as the gradient of the data's cost:

    g  is clipped by value, then by its norm over all parameters
    g += l1 sign(w) + (l2 + nielsen_lambda / n) w     the gradient of the penalties, never clipped
    w -= rate weight_decay w                          decoupled decay, beside the optimizer
    the optimizer moves theta along g
    the incoming weights of each unit are scaled down to max_norm where they are longer

All but clipping act on weights alone: on the pieces of theta that layers declare as penalised, not on biases and the
like. Metrics tell the cost and the gradient of the data alone.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Annotated

import numpy as np
from pydantic import Field

from core.layers.layer import Array
from core.network import Network
from core.spec import PositiveNumber, Spec

BLOCK = 65536  # weights that are worked on at a time, so that they stay in the cache

NotNegative = Annotated[float, Field(strict=True, ge=0, le=1e30)]


class Regularization(Spec):
    """What keeps weights small; 0 and null are off.

    l1 adds l1 |w|_1 to the cost, l2 adds l2/2 |w|^2, nielsen_lambda adds lambda/2n |w|^2 with n training rows
    (M. Nielsen, "Neural Networks and Deep Learning", chapter 3; where our cost is twice his, take twice his lambda).
    weight_decay is decoupled: w -= rate weight_decay w (I. Loshchilov, F. Hutter, ICLR 2019). max_norm bounds the L2
    norm of each unit's incoming weights: of a column, along the last axis (N. Srivastava et al., JMLR 15, 2014).
    """

    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    nielsen_lambda: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    max_norm: PositiveNumber | None = None


class GradientClipping(Spec):
    """Bounds on the gradient of the data's cost; null is none.

    value bounds each component, norm the L2 norm over all parameters: g *= norm / |g| where |g| is larger (R. Pascanu,
    T. Mikolov, Y. Bengio, ICML 2013, algorithm 1; PyTorch adds 1e-6 to |g|).
    """

    value: PositiveNumber | None = None
    norm: PositiveNumber | None = None


class Restraint:
    """Regularization and clipping over the theta and gradient of one run on `rows` training rows.

    `decay` is the optimizer's own decoupled weight decay; the two add up.
    """

    def __init__(
        self,
        regularization: Regularization,
        clipping: GradientClipping,
        network: Network,
        theta: Array,
        gradient: Array,
        *,
        rows: int,
        decay: float = 0.0,
    ) -> None:
        self.clipping = clipping
        self.l1 = regularization.l1
        self.l2 = regularization.l2 + regularization.nielsen_lambda / rows
        self.decay = regularization.weight_decay + decay
        self.max_norm = regularization.max_norm
        self._gradient = gradient
        pieces = [piece for piece in network.parameters() if piece.variable.penalised]
        weights = [piece.of(theta) for piece in pieces]
        self._matrices = [w.reshape(-1, w.shape[-1] if w.ndim else 1) for w in weights]
        self._blocks = [
            (w.reshape(-1)[start : start + BLOCK], piece.of(gradient).reshape(-1)[start : start + BLOCK])
            for piece, w in zip(pieces, weights, strict=True)
            for start in range(0, w.size, BLOCK)
        ]
        self._room = np.empty(max((len(w) for w, _ in self._blocks), default=0), theta.dtype)

    def before(self, norm: float, rate: float) -> None:
        """What comes before the optimizer: clip the gradient, whose L2 norm is `norm`, penalise, decay."""
        self._clip(norm)
        if not (self.l1 or self.l2 or self.decay):
            return
        for w, g in self._blocks:
            room = self._room[: len(w)]
            if self.l1:
                np.add(g, np.multiply(np.sign(w, out=room), self.l1, out=room), out=g)
            if self.l2:
                np.add(g, np.multiply(w, self.l2, out=room), out=g)
            if self.decay:
                np.multiply(w, 1 - rate * self.decay, out=w)

    def after(self) -> None:
        """What comes after the optimizer: the bound on norms."""
        if self.max_norm is None:
            return
        for W in self._matrices:
            norms = np.sqrt(np.einsum("ij,ij->j", W, W))
            if (norms > self.max_norm).any():
                np.multiply(W, self.max_norm / np.maximum(norms, self.max_norm), out=W)

    def _clip(self, norm: float) -> None:
        g, value, bound = self._gradient, self.clipping.value, self.clipping.norm
        if value is not None:
            np.clip(g, -value, value, out=g)
        if bound is not None:
            norm = norm if value is None else l2_norm(g)
            if norm > bound:
                g *= bound / norm


def l2_norm(g: Array) -> float:
    """The square root of the sum of squares of a vector (n,)."""
    square = float(np.dot(g, g))
    if not isfinite(square):  # in float32 the square overflows long before the norm does
        square = float(np.sum(np.square(g, dtype=np.float64)))
    return sqrt(square)
