"""The contract every loss keeps.

A loss states the cost C_i of each example and, beside it, the rows dC_i/da_i. That the cost of a batch is the mean of
its C_i is the business of the training loop alone. Targets are rows of numbers as wide as the outputs: one-hot for
classes (a single 0 or 1 when two classes are told by one output), the numbers themselves otherwise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from core.layers.layer import Array
from core.schema import ClassTarget, RealTarget
from core.spec import Spec


class Loss(Spec):
    """A cost and its derivative. Arrays: outputs a, targets y and `room` are (n, width), costs (n,)."""

    type: str
    logits: ClassVar[bool] = False  # takes scores and makes the probabilities itself
    classes_only: ClassVar[bool] = False  # has no meaning for real targets
    threshold: ClassVar[float] = 0.5  # one output above it means the second of two classes
    even: ClassVar[float] = 0.5  # the same, of what a prediction shows

    @abstractmethod
    def forward(self, a: Array, y: Array, room: Array) -> Array:
        """C_i of each example; leaves in `room` what backward needs."""

    @abstractmethod
    def backward(self, a: Array, y: Array, room: Array) -> Array:
        """dC_i/da_i, written over `room`."""

    def sides(self, a: Array, y: Array) -> Array:
        """Where a lies among the kinks of the cost, if it has some: the same where the same formula holds."""
        return np.empty(0)

    def aims(self, y: Array) -> Array:
        """What it really compares the outputs with: the targets, or what it makes of them."""
        return y

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
