"""What is told about a network besides its cost. One class each; `AnyMetric` is the registry.

A metric gathers sums over the validation data, batch by batch, and makes its value of them at the end. Outputs are
(n, k); targets are the numbers of the classes (n,), or real numbers (n, k).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from core.layers.layer import Array
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

    def misfit(self, width: int) -> str | None:
        """What is wrong with it for so many classes or real numbers, as a sentence."""
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


class Counted(Metric):
    """Made of three counts for each class: rows rightly said to be of it, said to be of it, and truly of it."""

    def room(self, width: int) -> tuple[int, ...]:
        return 3, width

    def add(self, sums: Array, a: Array, y: Array) -> None:
        said, width = a.argmax(axis=1), sums.shape[1]
        sums += [np.bincount(labels, minlength=width) for labels in (y[said == y], said, y)]


class Accuracy(Counted):
    """The part of the rows whose class is said; always measured, whether asked for or not."""

    type: Literal["accuracy"] = "accuracy"

    def value(self, sums: Array) -> Value:
        right, _, true = sums.sum(axis=1).tolist()
        return float(right / true)


class Precision(Counted):
    """right / said, the plain mean over the classes that were said or occur; 0 for one never said."""

    type: Literal["precision"] = "precision"

    def value(self, sums: Array) -> Value:
        right, said, true = sums
        return _mean_ratio(right, said, said + true)


class Recall(Counted):
    """right / true, the plain mean over the classes that were said or occur; 0 for one that does not occur."""

    type: Literal["recall"] = "recall"

    def value(self, sums: Array) -> Value:
        right, said, true = sums
        return _mean_ratio(right, true, said + true)


class F1(Counted):
    """2 right / (said + true), the harmonic mean of precision and recall, the plain mean over the classes."""

    type: Literal["f1"] = "f1"

    def value(self, sums: Array) -> Value:
        right, said, true = sums
        return _mean_ratio(2 * right, said + true, said + true)


class TopK(Metric):
    """The part of the rows whose class is among the k likeliest; of equal outputs the first counts as the larger."""

    type: Literal["top_k"] = "top_k"
    k: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 5

    @property
    def name(self) -> str:
        return f"top_{self.k}"

    def misfit(self, width: int) -> str | None:
        return (
            None
            if self.k < width
            else f"There are {width} classes, so the {self.k} likeliest always hold the right one: k must be less."
        )

    def room(self, width: int) -> tuple[int, ...]:
        return (2,)

    def add(self, sums: Array, a: Array, y: Array) -> None:
        own = np.take_along_axis(a, y[:, None], axis=1)
        earlier = np.arange(a.shape[1]) < y[:, None]
        rank = np.count_nonzero((a > own) | ((a == own) & earlier), axis=1)
        sums += np.count_nonzero(rank < self.k), len(y)

    def value(self, sums: Array) -> Value:
        return float(sums[0] / sums[1])


class ConfusionMatrix(Metric):
    """How many rows of each class (down) were said to be of each class (across), in the order of the classes."""

    type: Literal["confusion_matrix"] = "confusion_matrix"
    is_number: ClassVar[bool] = False

    def misfit(self, width: int) -> str | None:
        most = 128  # every epoch tells the whole table
        return (
            None
            if width <= most
            else f"A confusion matrix is for at most {most} classes, and here are {width}: remove it."
        )

    def room(self, width: int) -> tuple[int, ...]:
        return width, width

    def add(self, sums: Array, a: Array, y: Array) -> None:
        width = len(sums)
        sums += np.bincount(y * width + a.argmax(axis=1), minlength=width * width).reshape(width, width)

    def value(self, sums: Array) -> Value:
        table: list[list[int]] = sums.astype(int).tolist()
        return table


class MeanError(Metric):
    """Made of two sums: of errors, and of the numbers compared."""

    higher_is_better: ClassVar[bool] = False
    for_classes: ClassVar[bool] = False

    def room(self, width: int) -> tuple[int, ...]:
        return (2,)


class MAE(MeanError):
    """The mean of |a - y| over rows and outputs."""

    type: Literal["mae"] = "mae"

    def add(self, sums: Array, a: Array, y: Array) -> None:
        sums += np.abs(a - y).sum(), y.size

    def value(self, sums: Array) -> Value:
        return float(sums[0] / sums[1])


class RMSE(MeanError):
    """The square root of the mean of (a - y)^2 over rows and outputs."""

    type: Literal["rmse"] = "rmse"

    def add(self, sums: Array, a: Array, y: Array) -> None:
        sums += np.square(a - y).sum(), y.size

    def value(self, sums: Array) -> Value:
        return float(np.sqrt(sums[0] / sums[1]))


class R2(Metric):
    """1 - sum (a - y)^2 / sum (y - mean y)^2, the plain mean over the outputs; null where some target never changes.

    The mean and the squares around it are merged batch by batch: T. Chan, G. Golub, R. LeVeque, "Algorithms for
    computing the sample variance", The American Statistician 37 (1983).
    """

    type: Literal["r2"] = "r2"
    for_classes: ClassVar[bool] = False

    def room(self, width: int) -> tuple[int, ...]:
        return 4, width

    def add(self, sums: Array, a: Array, y: Array) -> None:
        before, mean, around, residual = sums
        n = before + len(y)
        shift = y.mean(axis=0) - mean
        around += np.square(y - y.mean(axis=0)).sum(axis=0) + shift**2 * before * len(y) / n
        mean += shift * len(y) / n
        residual += np.square(a - y).sum(axis=0)
        before[...] = n

    def value(self, sums: Array) -> Value:
        _, _, around, residual = sums
        return float((1 - residual / around).mean()) if around.all() else None


AnyMetric = Annotated[
    Accuracy | TopK | ConfusionMatrix | Precision | Recall | F1 | MAE | RMSE | R2,
    Field(discriminator="type"),
]


def _spelt_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


_Name = Literal["accuracy", "top_k", "confusion_matrix", "precision", "recall", "f1", "mae", "rmse", "r2"]

# The name of a type may stand for {"type": name}.
MetricOrName = Annotated[AnyMetric, BeforeValidator(_spelt_out, json_schema_input_type=AnyMetric | _Name)]


def correct(outputs: Array, labels: Array, threshold: float) -> int:
    """How many of the n rows of outputs (n, k) say their label (n,): by the largest of k values, ties to the
    first; a single value says class 1 when it is above the threshold."""
    said = outputs[:, 0] > threshold if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return int(np.count_nonzero(said == labels))


def by_class(outputs: Array, threshold: float) -> Array:
    """Outputs with a column for each class, where a single one (n, 1) tells two classes apart at the threshold."""
    if outputs.shape[1] > 1:
        return outputs
    return np.concatenate([2 * threshold - outputs, outputs], axis=1)


def _mean_ratio(part: Array, whole: Array, occurs: Array) -> float:
    """The mean of part / whole, 0 where whole is 0, over the classes that occur at all."""
    ratios = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return float(ratios[occurs > 0].mean())
