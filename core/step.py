"""One step of training in NumPy: forward, cost, backward, update. What the compiled form has to agree with."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from core.augmentation import Augmentation
from core.data import Dataset
from core.layers.layer import Array
from core.memory import room
from core.metrics import correct
from core.model import Model
from core.regularization import l2_norm

BLOCK = 65536  # parameters that an optimizer moves at a time


class Step:
    """The arrays of a step, and the step. `sums` are cost, rows said right and gradient norms, added up."""

    def __init__(self, model: Model, data: Dataset, memory: Mapping[str, Array]) -> None:
        """`memory` is the optimizer's."""
        self.sums = np.zeros(3)
        self._spec = spec = model.spec
        self._gradient = room(model.theta.shape, spec.dtype)
        self._gradient.fill(0)
        self._blocks = _in_blocks(model.theta, self._gradient, tuple(memory.values()))
        self._restraint = model.restraint(self._gradient, len(data))
        self._workspace = model.workspace(spec.batch_size, self._gradient)
        self._batches = model.batches(data, spec.batch_size)
        self._difference = np.empty_like(self._batches.y)
        self._augmentation = Augmentation(spec.augmentation, spec.seed, self._batches.blank())

    def advance(
        self,
        order: NDArray[np.int64],
        *,
        epoch: int,
        step: int,
        count: int,
        rates: NDArray[np.float64],
    ) -> int:
        """Do a step for each learning rate, from number `step` of the epoch on; `order` are the rows of the epoch,
        `count` the number of updates that the optimizer made before.

        Returns 0, or the number of the step among them, from 1, whose cost or gradient is not finite.
        """
        for done, rate in enumerate(rates.tolist()):
            rows = order[(step + done) * self._spec.batch_size :][: self._spec.batch_size]
            if not self._one(rows, epoch, step + done, count + done, rate):
                return done + 1
        return 0

    def _one(self, rows: NDArray[np.int64], epoch: int, step: int, count: int, rate: float) -> bool:
        spec, loss = self._spec, self._spec.loss
        x, y, labels = self._batches.load(rows)
        self._augmentation.apply(x, rows, epoch)
        n = len(x)
        self._workspace.randomise(n, spec.seed, epoch, step)

        a = self._workspace.forward(x, self._batches.mask)
        difference = self._difference[:n]
        cost = float(loss.forward(a, y, difference).sum(dtype=np.float64))
        if not isfinite(cost):
            return False
        hits = correct(a, labels, loss.threshold) if self._batches.classes else 0

        da = loss.backward(a, y, difference)
        da *= 1 / n  # the cost of a batch is the mean over its examples
        self._workspace.backward(da)
        norm = l2_norm(self._gradient)
        if not isfinite(norm):
            return False

        self._restraint.before(norm, rate)
        for theta, gradient, memory, spare in self._blocks:
            spec.optimizer.step(theta, gradient, memory, spare, rate=rate, count=count + 1)
        self._restraint.after()
        self.sums += cost, hits, norm
        return True


class Forward:
    """Outputs and costs of a dataset in evaluation mode, with the weights as they are. `sums` as in Step."""

    def __init__(self, model: Model, data: Dataset, rows: int) -> None:
        """`rows` make a batch."""
        self.sums = np.zeros(3)
        self._loss, self._rows = model.spec.loss, rows
        self._batches = model.batches(data, rows)
        self.outputs = np.empty_like(self._batches.y)  # of the last batch, in its first rows
        self._difference = np.empty_like(self._batches.y)
        self._workspace = model.workspace(rows)

    def advance(self, order: NDArray[np.int64], *, done: int) -> bool:
        """One batch of the rows of `order` from `done` on; whether its cost is finite."""
        x, y, labels = self._batches.load(order[done:][: self._rows])
        n = len(x)
        a = self.outputs[:n]
        a[...] = self._workspace.forward(x, self._batches.mask)
        self.sums[0] += float(self._loss.forward(a, y, self._difference[:n]).sum(dtype=np.float64))
        if self._batches.classes:
            self.sums[1] += correct(a, labels, self._loss.threshold)
        return isfinite(self.sums[0])


def _in_blocks(
    theta: Array, gradient: Array, memory: tuple[Array, ...]
) -> list[tuple[Array, Array, tuple[Array, ...], Array]]:
    """Stretches of theta, gradient and memory that fit into the cache together, with room for one."""
    spare = np.empty(min(BLOCK, theta.size), theta.dtype)
    parts = [slice(start, start + BLOCK) for start in range(0, theta.size, BLOCK)]
    return [
        (theta[part], gradient[part], tuple(vector[part] for vector in memory), spare[: len(theta[part])])
        for part in parts
    ]
