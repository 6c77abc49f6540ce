"""The contract every optimizer keeps.

An optimizer sees the whole network as one vector theta, in stretches of any length. Between steps it remembers vectors
of the same length, which it names, and nothing else: they are handed in, and checkpoints keep them. Everything it does
is elementwise. Numbers that depend on the step alone, such as bias corrections, are computed in Python's float64.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from core.layers.layer import Array
from core.schedules import LearningRate
from core.spec import Spec

Fraction = Annotated[float, Field(strict=True, ge=0, lt=1)]


class Optimizer(Spec):
    """A rule for one step down the gradient."""

    type: str
    learning_rate: LearningRate

    @property
    def decoupled_decay(self) -> float:
        """The part of each weight that goes at each step, per unit of the learning rate, beside the rule itself."""
        return 0.0

    @abstractmethod
    def memory(self) -> tuple[str, ...]:
        """The names of the vectors it remembers; all begin as zeros."""

    @abstractmethod
    def step(self, theta: Array, g: Array, memory: tuple[Array, ...], room: Array, *, rate: float, count: int) -> None:
        """Move theta in place along the gradient g; `count` is 1 at the first step. g and room may be overwritten."""
