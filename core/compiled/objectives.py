"""The operations of losses, restraints and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Operation
from core.compiled.rules import address
from core.layers.layer import Array
from core.losses import Loss
from core.network import Network
from core.optimizers import SGD, NAdam, Optimizer
from core.regularization import Restraint

LOSSES = (
    "quadratic",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "cross_entropy",
    "binary_cross_entropy",
    "hinge",
)
NORM_BLOCK = 4096  # as in optimizers.h


def loss_constants(loss: Loss) -> tuple[float, float]:
    """The loss's own number, if it has one, and the threshold for a single output."""
    own = getattr(loss, "delta", None) or getattr(loss, "label_smoothing", None) or 0.0
    return own, loss.threshold


# The kind of each optimizer in optimizers.h, its constants, and its numbers for a step from rate and count.
_Numbers = Callable[[Any, float, int], tuple[float, ...]]


def _plain(optimizer: Any, rate: float, count: int) -> tuple[float, ...]:
    return (rate,)


def _adam(optimizer: Any, rate: float, count: int) -> tuple[float, ...]:
    return rate / (1 - optimizer.beta1**count), 1 / sqrt(1 - optimizer.beta2**count)


def _nadam(optimizer: NAdam, rate: float, count: int) -> tuple[float, ...]:
    return rate, 1 / sqrt(1 - optimizer.beta2**count), *optimizer.shares(rate, count)


OPTIMIZERS: dict[str, tuple[int, tuple[str, ...], _Numbers]] = {
    "sgd": (0, (), _plain),
    "momentum": (1, ("momentum",), _plain),
    "nesterov": (2, ("momentum",), _plain),
    "adagrad": (3, ("", "", "epsilon"), _plain),
    "rmsprop": (4, ("alpha", "", "epsilon"), _plain),
    "adadelta": (5, ("rho", "", "epsilon"), _plain),
    "adam": (6, ("beta1", "beta2", "epsilon"), _adam),
    "adamw": (6, ("beta1", "beta2", "epsilon"), _adam),
    "nadam": (7, ("beta1", "beta2", "epsilon"), _nadam),
}


class Move:
    """From the gradient to new parameters: norm, clipping, penalties, the optimizer's step, bounds."""

    def __init__(self, optimizer: Optimizer, memory: Mapping[str, Array], restraint: Restraint) -> None:
        self._optimizer = optimizer
        self._memory = memory
        self._restraint = restraint
        plain_momentum = isinstance(optimizer, SGD) and optimizer.momentum
        self._kind, names, self._numbers = OPTIMIZERS["momentum" if plain_momentum else optimizer.type]
        self._constants = tuple(getattr(optimizer, name) if name else 0.0 for name in names)

    def scalars(self, rates: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """The numbers (steps, k) of steps with these learning rates, after `count` updates; the rates come last."""
        if self._numbers is _plain:
            return np.repeat(rates[:, None], 2, axis=1)
        steps = enumerate(rates.tolist(), count + 1)
        return np.array([(*self._numbers(self._optimizer, rate, number), rate) for number, rate in steps])

    def operations(self, network: Network, theta: Array, gradient: Array, tally: int, sums: int) -> list[Operation]:
        """Everything behind backward; `tally` and `sums` are where norms and the squares of blocks go."""
        bounds, size = self._restraint, (theta.size,)
        g = address(gradient)
        made = _norm(gradient, tally, sums)
        norm = tally + 2 * 8
        if bounds.clipping.value is not None:
            made.append(Operation("clip_value", size, (g,), (bounds.clipping.value,)))
            if bounds.clipping.norm is not None:
                norm += 4 * 8
                made += _norm(gradient, tally + 4 * 8, sums)
        if bounds.clipping.norm is not None:
            made.append(Operation("clip_norm", size, (g, norm), (bounds.clipping.norm,)))
        weights = [(piece.of(theta), piece.of(gradient)) for piece in network.parameters() if piece.variable.penalised]
        if bounds.l1 or bounds.l2 or bounds.decay:
            pulls = bounds.l1, bounds.l2, bounds.decay
            made += [Operation("penalise", (w.size,), (address(w), address(dw)), pulls) for w, dw in weights]
        vectors = (address(theta), g, *(address(vector) for vector in self._memory.values()))
        made.append(Operation("update", size, vectors, self._constants, self._kind))
        if bounds.max_norm is not None:
            for w, _ in weights:
                columns = w.shape[-1] if w.ndim else 1
                made.append(Operation("bound_columns", (w.size // columns, columns), (address(w),), (bounds.max_norm,)))
        return made


def _norm(gradient: Array, tally: int, sums: int) -> list[Operation]:
    blocks = -(-gradient.size // NORM_BLOCK)
    return [
        Operation("squares_of_blocks", (gradient.size,), (address(gradient), sums)),
        Operation("norm", (blocks,), (tally, sums)),
    ]
