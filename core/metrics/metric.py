"""The contract every metric keeps.

A metric gathers sums over the validation data, batch by batch, and makes its value of them at the end. Outputs are
(n, k); targets are the numbers of the classes (n,), or real numbers (n, k).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from core.layers.layer import Array, Misfit
from core.spec import Spec

Value = float | list[list[int]] | None
Measured = dict[str, Value]  # the metrics of an epoch by name; None where there is nothing to measure


class Metric(Spec):
    """A number, or a table, that says how well outputs meet their targets."""

    type: str
    higher_is_better: ClassVar[bool] = True
    is_number: ClassVar[bool] = True
    for_classes: ClassVar[bool] = True  # otherwise for real targets

    @property
    def name(self) -> str:
        """What it is called behind "validation_"."""
        return self.type

    def misfit(self, width: int) -> Misfit | None:
        """What is wrong with it for so many classes or real numbers."""
        return None

    @abstractmethod
    def room(self, width: int) -> tuple[int, ...]:
        """The shape of its float64 sums, which begin as zeros, for so many classes or real numbers."""

    @abstractmethod
    def add(self, sums: Array, a: Array, y: Array) -> None:
        """Add a batch of outputs a and targets y to the sums."""

    @abstractmethod
    def value(self, sums: Array) -> Value:
        """What the sums say."""
