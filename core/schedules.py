"""How the learning rate moves. One class each; `AnySchedule` is the registry; a plain number is constant.

Step and exponential move at the ends of epochs, all others with every update. A position is that of an update,
counted from 0 over the whole run.
"""

from __future__ import annotations

from abc import abstractmethod
from math import cos, pi
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from core.spec import Count, PositiveNumber, Spec

Factor = Annotated[float, Field(strict=True, gt=0, le=1)]


class Schedule(Spec):
    """A learning rate for every update, computed from its position alone."""

    type: str

    @abstractmethod
    def rate(self, step: int, steps: int, total: int) -> float:
        """The rate of update number `step`, from 0 to `total` - 1, with `steps` updates in each epoch."""


class Constant(Schedule):
    """Always `learning_rate`."""

    type: Literal["constant"] = "constant"
    learning_rate: PositiveNumber

    def rate(self, step: int, steps: int, total: int) -> float:
        return self.learning_rate


class Step(Schedule):
    """`learning_rate` times `factor` after each `every_epochs` epochs."""

    type: Literal["step"] = "step"
    learning_rate: PositiveNumber
    factor: Factor = 0.1
    every_epochs: Count

    def rate(self, step: int, steps: int, total: int) -> float:
        return float(self.learning_rate * self.factor ** (step // steps // self.every_epochs))


class Exponential(Schedule):
    """`learning_rate` times `factor` after each epoch."""

    type: Literal["exponential"] = "exponential"
    learning_rate: PositiveNumber
    factor: Factor

    def rate(self, step: int, steps: int, total: int) -> float:
        return float(self.learning_rate * self.factor ** (step // steps))


class InverseTime(Schedule):
    """`learning_rate` / (1 + decay t), with t the epochs gone by, parts of them too.

    H. Robbins, S. Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22 (1951).
    """

    type: Literal["inverse_time"] = "inverse_time"
    learning_rate: PositiveNumber
    decay: PositiveNumber = 1.0

    def rate(self, step: int, steps: int, total: int) -> float:
        return self.learning_rate / (1 + self.decay * step / steps)


class Cosine(Schedule):
    """minimum + (learning_rate - minimum) (1 + cos pi t) / 2, with t the part of the run gone by.

    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, eq. 5, with none.
    """

    type: Literal["cosine"] = "cosine"
    learning_rate: PositiveNumber
    minimum: Annotated[float, Field(strict=True, ge=0, le=1e30)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Cosine:
        if self.minimum > self.learning_rate:
            raise ValueError("minimum must not be larger than learning_rate.")
        return self

    def rate(self, step: int, steps: int, total: int) -> float:
        return _between(self.learning_rate, self.minimum, step / total)


class OneCycle(Schedule):
    """Up to `learning_rate` along half a cosine, then down to nearly nothing along another.

    It begins at learning_rate / div_factor, is highest when the part `pct_start` of the run is over, and ends at
    its beginning / final_div_factor. L. Smith, N. Topin, "Super-convergence", 2018, with the form and the defaults of
    PyTorch's OneCycleLR; momentum stays as it is.
    """

    type: Literal["one_cycle"] = "one_cycle"
    learning_rate: PositiveNumber
    pct_start: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.3
    div_factor: Annotated[float, Field(strict=True, ge=1, le=1e30)] = 25.0
    final_div_factor: Annotated[float, Field(strict=True, ge=1, le=1e30)] = 1e4

    def rate(self, step: int, steps: int, total: int) -> float:
        first = self.learning_rate / self.div_factor
        top, end = self.pct_start * total - 1, total - 1
        if step < top:
            return _between(first, self.learning_rate, step / top)
        top = max(top, 0)
        return _between(
            self.learning_rate, first / self.final_div_factor, (step - top) / (end - top) if end > top else 0
        )


WithoutWarmUp = Annotated[
    Constant | Step | Exponential | InverseTime | Cosine | OneCycle,
    Field(discriminator="type"),
]


def _form(value: Any) -> str:
    return "<schedule>" if isinstance(value, dict | Schedule) else "<number>"


class WarmUp(Schedule):
    """Evenly up to the first rate of `then`, over so many epochs or steps; `then` begins when they are over.

    Of n steps, the first takes 1 / (n + 1) of that rate. P. Goyal et al., "Accurate, large minibatch SGD", 2017.
    """

    type: Literal["warm_up"] = "warm_up"
    epochs: Count | None = None
    steps: Count | None = None
    then: Annotated[
        Annotated[PositiveNumber, Tag("<number>")] | Annotated[WithoutWarmUp, Tag("<schedule>")],
        Discriminator(_form),
    ]

    @model_validator(mode="after")
    def _one_length(self) -> WarmUp:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("Say how long the warm-up takes with either epochs or steps.")
        return self

    def rate(self, step: int, steps: int, total: int) -> float:
        length = self.steps if self.steps is not None else (self.epochs or 0) * steps
        rest = max(total - length, 1)
        if step < length:
            return _rate(self.then, 0, steps, rest) * (step + 1) / (length + 1)
        return _rate(self.then, step - length, steps, rest)


AnySchedule = Annotated[
    Constant | Step | Exponential | InverseTime | Cosine | OneCycle | WarmUp,
    Field(discriminator="type"),
]

LearningRate = Annotated[
    Annotated[PositiveNumber, Tag("<number>")] | Annotated[AnySchedule, Tag("<schedule>")],
    Discriminator(_form),
]


def rate_at(learning_rate: float | Schedule, step: int, steps: int, epochs: int) -> float:
    """The rate of update number `step`, from 0, in a run of `epochs` with `steps` each, whichever way it was told."""
    return _rate(learning_rate, step, steps, steps * epochs)


def _rate(learning_rate: float | Schedule, step: int, steps: int, total: int) -> float:
    return learning_rate.rate(step, steps, total) if isinstance(learning_rate, Schedule) else learning_rate


def _between(first: float, last: float, part: float) -> float:
    """From first at part 0 to last at part 1 along half a cosine."""
    return last + (first - last) * (1 + cos(pi * part)) / 2
