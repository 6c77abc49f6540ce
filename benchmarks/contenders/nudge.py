"""Nudge: the core's own `fit`, with its metrics."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Workload
from core.compiled.library import load
from core.engine import Engine
from core.training import Epoch, fit

ENDLESS = 1_000_000


class Nudge:
    """As a worker would train it, without a server around."""

    engine = Engine()

    def __init__(self, workload: Workload, threads: int) -> None:
        self.workload = workload
        self.threads = threads
        if load("float32") is None:
            print("nudge: there are no compiled kernels, this is NumPy alone (make env compiles them)")

    def weights(self, dtype: str = "float32") -> NDArray[np.floating]:
        """After the steps that are compared: an epoch of as many rows."""
        data = self.workload.dataset(self.workload.checked_rows)
        network = self.workload.network_of(data)
        theta, _ = network.allocate("float64")
        for told in fit(self.workload.spec(threads=self.threads, epochs=1, dtype=dtype), data, engine=self.engine):
            if isinstance(told, Epoch):
                tensors = told.checkpoint().tensors
                for piece in network.parameters():
                    piece.of(theta)[...] = tensors[piece.name]
        return theta

    def epochs(self) -> Iterator[int]:
        """Train for ever; gives the rows of each epoch when it is over."""
        data = self.workload.dataset()
        for told in fit(self.workload.spec(threads=self.threads, epochs=ENDLESS), data, engine=self.engine):
            if isinstance(told, Epoch):
                yield len(data)


class Dense(Nudge):
    """Every pixel counts, be it zero or not."""

    engine = Engine(sparse=False)
