"""How the learning rate moves. One class each; `AnySchedule` is the registry; a plain number is constant."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from core.spec import Count, PositiveNumber, Spec


class Schedule(Spec):
    """A learning rate for every step, computed from the position alone."""

    @abstractmethod
    def rate(self, step: int, steps: int, epochs: int) -> float:
        """The rate of update number `step`, counted from 0 over the whole run of `epochs` with `steps` each."""


class Constant(Schedule):
    """Always `learning_rate`."""

    type: Literal["constant"] = "constant"
    learning_rate: PositiveNumber

    def rate(self, step: int, steps: int, epochs: int) -> float:
        return self.learning_rate


class Step(Schedule):
    """`learning_rate` times `factor` after each `every_epochs` epochs."""

    type: Literal["step"] = "step"
    learning_rate: PositiveNumber
    factor: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.1
    every_epochs: Count

    def rate(self, step: int, steps: int, epochs: int) -> float:
        return float(self.learning_rate * self.factor ** (step // steps // self.every_epochs))


class Exponential(Schedule):
    """`learning_rate` times `factor` after each epoch."""

    type: Literal["exponential"] = "exponential"
    learning_rate: PositiveNumber
    factor: Annotated[float, Field(strict=True, gt=0, le=1)]

    def rate(self, step: int, steps: int, epochs: int) -> float:
        return float(self.learning_rate * self.factor ** (step // steps))


AnySchedule = Annotated[Constant | Step | Exponential, Field(discriminator="type")]


def _form(value: Any) -> str:
    return "<schedule>" if isinstance(value, dict | Schedule) else "<number>"


LearningRate = Annotated[
    Annotated[PositiveNumber, Tag("<number>")] | Annotated[AnySchedule, Tag("<schedule>")],
    Discriminator(_form),
]


def rate_at(learning_rate: float | Schedule, step: int, steps: int, epochs: int) -> float:
    """The rate of one update, whichever way it was described."""
    return learning_rate.rate(step, steps, epochs) if isinstance(learning_rate, Schedule) else learning_rate
