"""What a network is asked to make small. One class each; `AnyLoss` is the registry.

A loss states the cost C_i of each example and, beside it, the rows dC_i/da_i. That the cost of a batch is the mean of
its C_i is the business of the training loop alone. Targets are rows of numbers as wide as the outputs: one-hot for
classes (a single 0 or 1 when two classes are told by one output), the numbers themselves otherwise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.layers.layer import Array
from core.layers.sigmoid import sigmoid
from core.layers.softmax import softmax
from core.schema import ClassTarget, RealTarget
from core.spec import Spec


class Loss(Spec):
    """A cost and its derivative. Arrays: outputs a, targets y and `room` are (n, width), costs (n,)."""

    logits: ClassVar[bool] = False  # takes scores and makes the probabilities itself
    classes_only: ClassVar[bool] = False  # has no meaning for real targets
    threshold: ClassVar[float] = 0.5  # one output above it means the second of two classes

    @abstractmethod
    def forward(self, a: Array, y: Array, room: Array) -> Array:
        """C_i of each example; leaves in `room` what backward needs."""

    @abstractmethod
    def backward(self, a: Array, y: Array, room: Array) -> Array:
        """dC_i/da_i, written over `room`."""

    def outputs(self, a: Array) -> Array:
        """What a prediction shows of the last layer's values."""
        return a

    def misfits(self, target: ClassTarget | RealTarget) -> Iterator[tuple[str, str]]:
        """What of it does not fit these targets: the field, and what to do, as a sentence."""
        return iter(())

    def widths(self, target: ClassTarget | RealTarget) -> tuple[int, ...]:
        """The widths that the network's last layer may have, the usual one first."""
        two = isinstance(target, ClassTarget) and target.width == 2
        return (2, 1) if two else (target.width,)


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


class CrossEntropy(Loss):
    """C_i = -sum_j y_j ln p_j with p = softmax(a): a are logits; dC_i/da = p - y."""

    type: Literal["cross_entropy"] = "cross_entropy"
    logits: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True

    def forward(self, a: Array, y: Array, room: Array) -> Array:
        # ln p_j = s_j - ln sum e^s with s = a - max a: no logarithm of a vanishing p, no overflow.
        s = np.subtract(a, a.max(axis=1, keepdims=True), out=room)
        costs: Array = np.vecdot(s, y)
        p = np.exp(s, out=room)
        total = p.sum(axis=1)
        p /= total[:, None]
        np.subtract(np.log(total), costs, out=costs)
        return costs

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        return np.subtract(room, y, out=room)

    def outputs(self, a: Array) -> Array:
        return softmax(a, np.empty_like(a))

    def widths(self, target: ClassTarget | RealTarget) -> tuple[int, ...]:
        return (target.width,)


class BinaryCrossEntropy(Loss):
    """C_i = -sum_j (y_j ln p_j + (1 - y_j) ln(1 - p_j)) with p = sigmoid(a): a are logits; dC_i/da = p - y.

    The sum over outputs is the likelihood's, as M. Nielsen has it in chapter 3; some libraries take the mean.
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
        return costs

    def backward(self, a: Array, y: Array, room: Array) -> Array:
        return np.subtract(sigmoid(a, room), y, out=room)

    def outputs(self, a: Array) -> Array:
        return sigmoid(a, np.empty_like(a))


AnyLoss = Annotated[
    Quadratic | MeanSquaredError | CrossEntropy | BinaryCrossEntropy,
    Field(discriminator="type"),
]
