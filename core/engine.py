"""Who does the arithmetic of a run: the compiled driver where there is one, else NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import load
from core.compiled.step import CompiledForward, CompiledStep
from core.data import Dataset
from core.layers.layer import Array
from core.network import Network
from core.preprocessing import Preprocessing
from core.random import Purpose, Random
from core.step import Forward, Step
from core.training_spec import TrainingSpec


@dataclass(frozen=True)
class Engine:
    """compiled: whether to use the driver. sparse: whether a first layer may skip zeros, which changes no bit."""

    compiled: bool = True
    sparse: bool = True

    def step(
        self,
        spec: TrainingSpec,
        data: Dataset,
        preprocessing: Preprocessing,
        network: Network,
        *,
        theta: Array,
        state: Array,
        memory: Mapping[str, Array],
    ) -> Step | CompiledStep:
        """What advances a run over `data`."""
        library = load(spec.dtype) if self.compiled else None
        given = spec, data, preprocessing, network
        if library is None:
            return Step(*given, theta=theta, state=state, memory=memory)
        return CompiledStep(library, *given, theta=theta, state=state, memory=memory, sparse=self.sparse)

    def forward(
        self,
        spec: TrainingSpec,
        data: Dataset,
        preprocessing: Preprocessing,
        network: Network,
        *,
        theta: Array,
        state: Array,
        rows: int,
    ) -> Forward | CompiledForward:
        """What goes through `data` in evaluation mode."""
        library = load(spec.dtype) if self.compiled else None
        given = spec, data, preprocessing, network
        if library is None:
            return Forward(*given, theta=theta, state=state, rows=rows)
        return CompiledForward(library, *given, theta=theta, state=state, rows=rows, sparse=self.sparse)

    def shuffled(self, spec: TrainingSpec, epoch: int, count: int) -> NDArray[np.int64]:
        """The numbers 0 to count - 1 in the order of an epoch."""
        library = load(spec.dtype) if self.compiled else None
        if library is None:
            return Random(spec.seed, Purpose.SHUFFLE, epoch=epoch).permutation(count)
        return library.permutation(spec.seed, Purpose.SHUFFLE, epoch, count)


DEFAULT = Engine()
