"""The operations that fill batches: rows gathered from a dataset, preprocessed, with targets beside them."""

from __future__ import annotations

from math import prod

import numpy as np

from core.augmentation import Augmentation
from core.compiled.entries import Entries, entries_bytes
from core.compiled.library import Library, Operation
from core.compiled.program import Batch, Part
from core.compiled.rules import Sparse, address
from core.data import Dataset
from core.memory import room
from core.model import Model
from core.preprocessing import Divide, Standardize

SOURCES = {"uint8": 0, "float32": 1, "float64": 2}


class Feed:
    """Room for batches of up to `rows` rows of one dataset, and the parts that fill it."""

    def __init__(
        self, model: Model, data: Dataset, rows: int, *, augmented: bool = False, sparse: Library | None = None
    ) -> None:
        """`augmented`: whether inputs are varied as the spec says. `sparse`: the driver, where inputs that are mostly
        zero may be told by the others alone."""
        spec = model.spec
        self.batches = model.batches(data, rows)
        self.x, self.targets = self.batches.x, self.batches.y
        self.labels = np.empty(rows, np.int32) if self.batches.classes else None
        self.sparse: Sparse | None = None
        self._data, self._rows, self._dtype = data, rows, spec.dtype
        self._steps = model.preprocessing
        self._augmentation: Augmentation | None = None
        if augmented and spec.augmentation:
            self._augmentation = Augmentation(spec.augmentation, spec.seed, self.batches.blank())
        self._kept: list[object] = []  # what the operations point to
        self._entries: tuple[int, ...] = ()
        if sparse is not None and entries_bytes(spec, model.network, data.schema, len(data.x)):
            self._tell_sparse(sparse)
        self.parts = self._parts()

    def _parts(self) -> list[Part]:
        inputs, targets = self._inputs(), self._targets()
        if inputs is not None and self._augmentation is None:
            return [inputs, targets] if self.batches.masks is None else [self._load_mask, inputs, targets]

        def load(batch: Batch) -> None:
            x, *_ = self.batches.load(batch.rows)
            if self._augmentation is not None:
                self._augmentation.apply(x, batch.rows, batch.epoch)

        return [load, targets]

    def _load_mask(self, batch: Batch) -> None:
        self.batches.load_mask(batch.rows)

    def _inputs(self) -> Operation | None:
        features = (prod(self._data.schema.input_shape),)
        source, x, kind = address(self._data.x), address(self.x), SOURCES[self._data.schema.input_dtype]
        match self._steps.steps:
            case [Standardize()]:
                mean, deviation = (np.ascontiguousarray(self._steps.arrays[f"0.{name}"]) for name in Standardize.arrays)
                inverse = 1 / deviation
                self._kept += [mean, inverse]
                return Operation("gather_inputs", features, (source, x, address(mean), address(inverse)), kind=kind)
            case [] | [Divide()]:
                scale = self._scale()
            case _:
                return None
        if self.sparse is not None:
            return Operation("gather_sparse", features, self._entries, (scale,))
        return Operation("gather_inputs", features, (source, x), (scale,), kind)

    def _scale(self) -> float:
        return 1 / self._steps.steps[0].by if self._steps.steps and isinstance(self._steps.steps[0], Divide) else 1.0

    def _targets(self) -> Operation:
        places = address(self._data.y), address(self.targets), address(self.labels)
        return Operation("gather_targets", (self.targets.shape[1],), places, kind=int(self.labels is None))

    def _tell_sparse(self, library: Library) -> None:
        """Tell all bytes of the dataset that are not zero, where they are few."""
        found, features = Entries.of(self._data.x, library), prod(self._data.schema.input_shape)
        if found is None:
            return
        batch, rows = room((self._rows, features), self._dtype), np.empty((self._rows, 3), np.int64)
        most = int(np.sort(np.diff(found.starts)[self._data.indices()])[-self._rows :].sum())  # entries of a batch
        sorting = np.empty(features + 2, np.int32), np.empty(most, np.uint16), np.empty(most, self._dtype)
        self._kept += [found, batch, rows, *sorting]
        self._entries = tuple(address(array) for array in (found.starts, found.places, found.values, batch, rows))
        self.sparse = Sparse(address(rows), *(address(array) for array in sorting))
