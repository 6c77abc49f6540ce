"""Not a contender but the limit: the matrix products of a network's training alone, in NumPy's OpenBLAS."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Workload

Matrix = NDArray[np.floating]


class Products:
    """For each weight matrix W: x W, x^T dy and, but for the first, dy W^T; nothing is gathered, added or bent.

    A convolution counts as the product of its patches with its kernel, as if the patches were there already.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        self.workload = workload

    def weights(self, dtype: str = "float32") -> None:
        """It learns nothing."""

    def epochs(self) -> Iterator[int]:
        """As many products as an epoch takes; gives its rows."""
        products = list(self._products())
        steps = self.workload.rows // self.workload.batch
        while True:
            for _ in range(steps):
                for a, b, out in products:
                    np.matmul(a, b, out=out)
            yield self.workload.rows

    def _products(self) -> Iterator[tuple[Matrix, Matrix, Matrix]]:
        random = np.random.default_rng(0)

        def matrix(*shape: int) -> Matrix:
            return random.standard_normal(shape, np.float32)

        network = self.workload.network_of(self.workload.dataset())
        first = True
        for placed in network.layers:
            for piece in placed.parameters:
                shape: Any = piece.variable.shape
                if len(shape) < 2:
                    continue
                inputs, units = prod(shape[:-1]), shape[-1]
                rows = self.workload.batch * prod(placed.output_shape) // units
                x, w, dy = matrix(rows, inputs), matrix(inputs, units), matrix(rows, units)
                yield x, w, matrix(rows, units)
                yield x.T, dy, matrix(inputs, units)
                if not first:
                    yield dy, w.T, matrix(rows, inputs)
                first = False
