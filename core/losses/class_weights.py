"""Weights that make the examples of some classes count for more than those of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from core.layers.layer import Array
from core.losses.loss import Loss
from core.schema import ClassTarget, RealTarget


class WeightedLoss(Loss):
    """A loss for classes that multiplies C_i by the weight of the example's class, in the order of the classes.

    The cost of a batch stays the sum of its C_i divided by their number n: it is not divided by the sum of their
    weights, as some libraries do. A weight of 2 counts an example twice; n still counts it once.
    """

    class_weights: (
        Annotated[tuple[Annotated[float, Field(strict=True, ge=0, le=1e30)], ...], Field(min_length=2)] | None
    ) = None

    def weighted(self, values: Array, y: Array) -> Array:
        """Multiply costs (n,) or rows (n, width) by the weights of the examples with targets y, in place."""
        if self.class_weights is not None:
            w = np.array(self.class_weights, y.dtype)
            # One number for two classes is the probability of the second.
            each = y @ w if y.shape[1] > 1 else w[0] + (w[1] - w[0]) * y[:, 0]
            values *= each if values.ndim == 1 else each[:, None]
        return values

    def misfits(self, target: ClassTarget | RealTarget) -> Iterator[tuple[str, str]]:
        if self.class_weights is None:
            return
        if len(self.class_weights) != target.width:
            yield (
                "class_weights",
                f"There are {len(self.class_weights)} weights but the dataset has {target.width} classes: "
                "give one for each, in the order of the classes.",
            )
        if not any(self.class_weights):
            yield "class_weights", "All weights are 0, so nothing would be learned: make at least one larger."
