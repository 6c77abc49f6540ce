"""Metrics of real targets."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from core.layers.layer import Array
from core.metrics.metric import Metric, Value


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
