"""How well a network does on data it is not trained on."""

from __future__ import annotations

from math import isfinite

import numpy as np

from core.data import Dataset
from core.layers.layer import Array
from core.metrics import Measured, by_class, correct
from core.run import Diverged, Run
from core.workspace import Workspace, evaluation_rows


class Evaluation:
    """Cost, accuracy and metrics over a dataset in evaluation mode, batch by batch, with the weights as they are."""

    def __init__(self, run: Run, data: Dataset) -> None:
        self._run = run
        rows = min(evaluation_rows(run.network, run.spec.dtype), len(data))
        self._batches, self._difference = run.batches(data, rows)
        self._workspace = Workspace(run.network, rows, theta=run.theta, state=run.state)
        self._indices = data.indices()
        width = data.schema.target.width
        self._sums = [(metric, np.zeros(metric.room(width))) for metric in run.spec.metrics]
        self.restart()

    def restart(self) -> None:
        """Begin again from the first row."""
        self._done = self._hits = 0
        self._cost = 0.0
        for _, sums in self._sums:
            sums.fill(0)

    @property
    def over(self) -> bool:
        """Whether every row has been seen."""
        return self._done == len(self._indices)

    def advance(self) -> None:
        """One batch."""
        loss = self._run.spec.loss
        indices = self._indices[self._done :][: len(self._difference)]
        x, y, labels = self._batches.load(indices)
        a = self._workspace.forward(x)
        self._cost += float(loss.forward(a, y, self._difference[: len(x)]).sum(dtype=np.float64))
        self._hits += correct(a, labels, loss.threshold) if self._run.classes else 0
        if self._sums:
            self._add(by_class(a, loss.threshold) if self._run.classes else a, labels)
        self._done += len(x)
        if not isfinite(self._cost):
            raise Diverged(self._run.epoch + 1, self._run.step)

    def metrics(self) -> Measured:
        """Loss, accuracy and the metrics asked for, over all rows."""
        accuracy = self._hits / self._done if self._run.classes else None
        measured: Measured = {"validation_loss": self._cost / self._done, "validation_accuracy": accuracy}
        return measured | {f"validation_{metric.name}": metric.value(sums) for metric, sums in self._sums}

    def _add(self, a: Array, y: Array) -> None:
        if not self._run.classes:
            y = y.reshape(a.shape)
        for metric, sums in self._sums:
            metric.add(sums, a, y)
