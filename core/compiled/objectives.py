"""The operations of losses, restraints and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Operation
from core.compiled.rules import Moving, address
from core.layers.layer import Array, Shape
from core.losses import Loss
from core.model import Model
from core.network import Network
from core.optimizers import SGD, NAdam
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
NORM_BLOCK = 4096  # as in restraints.h
LINES, BLOCK = 48, 512  # as in move.h
MOST_COLUMNS = 2048  # of which LINES fit the room of a thread


def loss_constants(loss: Loss) -> tuple[float, float]:
    """The loss's own number, if it has one, and the threshold for a single output."""
    own = getattr(loss, "delta", None) or getattr(loss, "label_smoothing", None) or 0.0
    return own, loss.threshold


# The kind of each optimizer in move.h, its constants, and its numbers for a step from rate and count.
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
    """From the gradient to new parameters: norm, clipping, penalties, the optimizer's step, bounds.

    Matrices that are claimed move as soon as their gradient is found; `operations` is for all the others.
    """

    def __init__(self, model: Model, gradient: Array, memory: Mapping[str, Array], restraint: Restraint) -> None:
        self._network, self._theta, self._gradient = model.network, model.theta, gradient
        self._optimizer = optimizer = model.spec.optimizer
        self._restraint = restraint
        self._memory = list(memory.values())
        plain_momentum = isinstance(optimizer, SGD) and optimizer.momentum
        self._kind, names, self._numbers = OPTIMIZERS["momentum" if plain_momentum else optimizer.type]
        self._constants = tuple(getattr(optimizer, name) if name else 0.0 for name in (*names, "", "", "")[:3])
        self._claimed: set[int] = set()  # where these begin in theta
        # Room for whatever is claimed: the squares of a matrix, or those of a stretch, with what is left of a block.
        self._sums = np.zeros(_most_sums(model.network))
        self._summed = 0

    def claim(self, W: Array) -> Moving | None:
        """Of a matrix (lines, columns) of theta that somebody wants to move; None where that has to wait for the whole
        gradient, or the matrix is too wide."""
        clipping = self._restraint.clipping
        if clipping.value is not None or clipping.norm is not None or W.shape[1] > MOST_COLUMNS:
            return None
        start = (address(W) - address(self._theta)) // W.itemsize
        self._claimed.add(start)
        first, second = (*(address(vector[start:]) for vector in self._memory), 0, 0)[:2]
        sums = self._room(_squares(W.shape))
        return Moving(1 + self._kind, (*self._constants, *self._pulls), (first, second), sums)

    def _room(self, count: int) -> int:
        at = self._sums[self._summed :]
        self._summed += count
        assert len(at) >= count
        return address(at)

    @property
    def _pulls(self) -> tuple[float, float, float]:
        return self._restraint.l1, self._restraint.l2, self._restraint.decay

    def scalars(self, rates: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """The numbers (steps, k) of steps with these learning rates, after `count` updates; the rates come last."""
        if self._numbers is _plain:
            return np.repeat(rates[:, None], 2, axis=1)
        steps = enumerate(rates.tolist(), count + 1)
        return np.array([(*self._numbers(self._optimizer, rate, number), rate) for number, rate in steps])

    def operations(self, tally: int) -> list[Operation]:
        """Everything behind backward; `tally` is where norms go."""
        bounds = self._restraint
        stretches = list(self._stretches())
        made = [self._squares(start, stop) for start, stop, _ in stretches]
        made.append(self._norm(tally))
        norm = tally + 2 * 8
        whole, g = (self._theta.size,), address(self._gradient)
        if bounds.clipping.value is not None:
            made.append(Operation("clip_value", whole, (g,), (bounds.clipping.value,)))
            if bounds.clipping.norm is not None:
                norm += 4 * 8
                self._summed = 0
                made += [self._squares(0, self._theta.size), self._norm(tally + 4 * 8)]
        if bounds.clipping.norm is not None:
            made.append(Operation("clip_norm", whole, (g, norm), (bounds.clipping.norm,)))
        for start, stop, pulled in stretches:
            vectors = self._theta, self._gradient, *self._memory
            values = *self._constants, *(self._pulls if pulled else ())
            places = tuple(address(vector[start:]) for vector in vectors)
            made.append(Operation("update", (stop - start,), places, values, self._kind))
        if bounds.max_norm is not None:
            for piece in self._network.parameters():
                if piece.variable.penalised:
                    w = piece.of(self._theta)
                    columns = w.shape[-1] if w.ndim else 1
                    sizes = w.size // columns, columns
                    made.append(Operation("bound_columns", sizes, (address(w),), (bounds.max_norm,)))
        return made

    def _stretches(self) -> Iterator[tuple[int, int, bool]]:
        """From where to where theta is not claimed, and whether penalties and decay pull there."""
        pulling = any(self._pulls)
        left = (piece for piece in self._network.parameters() if piece.start not in self._claimed)
        stretch: tuple[int, int, bool] | None = None
        for piece in left:
            stop = piece.start + prod(piece.variable.shape)
            pulled = pulling and piece.variable.penalised
            if stretch is not None and stretch[1:] == (piece.start, pulled):
                stretch = stretch[0], stop, pulled
                continue
            if stretch is not None:
                yield stretch
            stretch = piece.start, stop, pulled
        if stretch is not None:
            yield stretch

    def _squares(self, start: int, stop: int) -> Operation:
        sums = self._room(-(-(stop - start) // NORM_BLOCK))
        return Operation("squares_of_blocks", (stop - start,), (address(self._gradient[start:]), sums))

    def _norm(self, tally: int) -> Operation:
        return Operation("norm", (self._summed,), (tally, address(self._sums)))


def _squares(shape: Shape) -> int:
    """How many sums of squares a matrix takes that moves on its own."""
    return -(-shape[0] // LINES) * -(-shape[1] // BLOCK)


def _most_sums(network: Network) -> int:
    """How many sums of squares the norm of a gradient takes at most."""
    shapes = [piece.variable.shape for piece in network.parameters()]
    return sum(_squares(shape) for shape in shapes if len(shape) == 2) + -(-network.size // NORM_BLOCK) + len(shapes)
