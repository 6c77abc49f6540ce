"""Who does the arithmetic of a run: the compiled driver where there is one, else NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Library, load
from core.compiled.step import CompiledForward, CompiledStep
from core.data import Dataset
from core.layers.layer import Array
from core.model import Model
from core.random import Purpose, Random
from core.step import Forward, Step
from core.training_spec import TrainingSpec


@dataclass(frozen=True)
class Engine:
    """compiled: whether to use the driver. sparse: whether a first layer may skip zeros, which changes no bit."""

    compiled: bool = True
    sparse: bool = True

    def step(self, model: Model, data: Dataset, memory: Mapping[str, Array]) -> Step | CompiledStep:
        """What advances a run over `data`; `memory` is the optimizer's."""
        library = self._library(model.spec)
        if library is None:
            return Step(model, data, memory)
        return CompiledStep(model, data, memory, library, sparse=self.sparse)

    def forward(self, model: Model, data: Dataset, rows: int) -> Forward | CompiledForward:
        """What goes through `data` in evaluation mode, `rows` at a time."""
        library = self._library(model.spec)
        if library is None:
            return Forward(model, data, rows)
        return CompiledForward(model, data, rows, library, sparse=self.sparse)

    def shuffled(self, spec: TrainingSpec, epoch: int, count: int) -> NDArray[np.int64]:
        """The numbers 0 to count - 1 in the order of an epoch."""
        library = self._library(spec)
        if library is None:
            return Random(spec.seed, Purpose.SHUFFLE, epoch=epoch).permutation(count)
        return library.permutation(spec.seed, Purpose.SHUFFLE, epoch, count)

    def _library(self, spec: TrainingSpec) -> Library | None:
        return load(spec.dtype) if self.compiled else None


DEFAULT = Engine()
