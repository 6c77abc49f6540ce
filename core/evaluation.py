"""How well a network does on data it is not trained on."""

from __future__ import annotations

import numpy as np

from core.data import Dataset
from core.engine import Engine
from core.layers.layer import Array
from core.metrics import Measured, by_class
from core.run import Diverged, Run
from core.workspace import evaluation_rows


class Evaluation:
    """Cost, accuracy and metrics over a dataset in evaluation mode, batch by batch, with the weights as they are."""

    def __init__(self, run: Run, data: Dataset, engine: Engine) -> None:
        self._run, self._data = run, data
        self._rows = min(evaluation_rows(run.model.network, run.spec.dtype), len(data))
        self._forward = engine.forward(run.model, data, self._rows)
        self._indices = data.indices()
        width = data.schema.target.width
        self._sums = [(metric, np.zeros(metric.room(width))) for metric in run.spec.metrics]
        self.restart()

    def restart(self) -> None:
        """Begin again from the first row."""
        self._done = 0
        self._forward.sums.fill(0)
        for _, sums in self._sums:
            sums.fill(0)

    @property
    def left(self) -> int:
        """The number of batches to come."""
        return -(-(len(self._indices) - self._done) // self._rows)

    def advance(self, batches: int) -> None:
        """So many batches."""
        for _ in range(batches):
            self._one()

    def _one(self) -> None:
        rows = self._indices[self._done :][: self._rows]
        if not self._forward.advance(self._indices, done=self._done):
            raise Diverged(self._run.epoch + 1, self._run.step)
        if self._sums:
            a, threshold = self._forward.outputs[: len(rows)], self._run.spec.loss.threshold
            self._add(by_class(a, threshold) if self._run.classes else a, self._data.y[rows])
        self._done += len(rows)

    def metrics(self) -> Measured:
        """Loss, accuracy and the metrics asked for, over all rows."""
        cost, hits, _ = self._forward.sums.tolist()
        accuracy = hits / self._done if self._run.classes else None
        measured: Measured = {"validation_loss": cost / self._done, "validation_accuracy": accuracy}
        return measured | {f"validation_{metric.name}": metric.value(sums) for metric, sums in self._sums}

    def _add(self, a: Array, y: Array) -> None:
        if not self._run.classes:
            y = y.reshape(a.shape)
        for metric, sums in self._sums:
            metric.add(sums, a, y)
