"""Metrics of classes that count right and wrong answers."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.layers.layer import Array
from core.metrics.metric import Metric, Value


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


def _mean_ratio(part: Array, whole: Array, occurs: Array) -> float:
    """The mean of part / whole, 0 where whole is 0, over the classes that occur at all."""
    ratios = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return float(ratios[occurs > 0].mean())
