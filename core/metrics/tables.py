"""Metrics of classes that rank the outputs, or lay out the answers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.layers.layer import Array, Misfit
from core.metrics.metric import Metric, Value


class TopK(Metric):
    """The part of the rows whose class is among the k likeliest; of equal outputs the first counts as the larger."""

    type: Literal["top_k"] = "top_k"
    k: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 5

    @property
    def name(self) -> str:
        return f"top_{self.k}"

    def misfit(self, width: int) -> Misfit | None:
        if self.k < width:
            return None
        detail = (
            f"The dataset has {width} classes, so the {self.k} likeliest always hold the right one: "
            f"k may be {width - 1} at most."
        )
        return Misfit("k", detail)

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

    def misfit(self, width: int) -> Misfit | None:
        most = 128  # every epoch tells the whole table
        if width <= most:
            return None
        return Misfit(None, f"A confusion matrix is for at most {most} classes, and here are {width}: remove it.")

    def room(self, width: int) -> tuple[int, ...]:
        return width, width

    def add(self, sums: Array, a: Array, y: Array) -> None:
        width = len(sums)
        sums += np.bincount(y * width + a.argmax(axis=1), minlength=width * width).reshape(width, width)

    def value(self, sums: Array) -> Value:
        table: list[list[int]] = sums.astype(int).tolist()
        return table
