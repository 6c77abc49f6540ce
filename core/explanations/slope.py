"""The slope of the data cost at any weights."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from core.batches import Batches
from core.data import Dataset
from core.layers.layer import Array
from core.losses import Loss
from core.network import Network
from core.preprocessing import Preprocessing
from core.workspace import Workspace, layout

BATCH_ROWS = 256


class Slope:
    """The gradient of rows of a dataset at any weights: evaluation mode, float64, without penalties.

    theta (size,) and state (state_size,) are where it is looked at: the caller writes them.
    """

    def __init__(
        self, network: Network, loss: Loss, preprocessing: Preprocessing, data: Dataset, batch_bytes: int
    ) -> None:
        """Rows are gone through together as many as fit into `batch_bytes`."""
        self.theta, self.state = np.zeros(network.size), np.zeros(network.state_size)
        self._loss, self._places = loss, data.indices()
        each = layout(network, 1, "float64", backward=True).bytes + 24 * prod(network.input_shape)
        size, width = min(BATCH_ROWS, len(data), max(1, batch_bytes // each)), network.output_shape[0]
        self._batches = Batches(data, preprocessing, rows=size, width=width, dtype="float64", masked=network.masked)
        self._gradient, self._difference = np.zeros(network.size), np.empty((size, width))
        self._workspace = Workspace(network, size, theta=self.theta, state=self.state, gradient=self._gradient)
        self._size = size
        self._x, self._y = self._batches.x, self._batches.y

    def visit(self, rows: NDArray[np.int64]) -> Iterator[int]:
        """Go through rows of the dataset, some at a time: `gradient` is of those; yields how many."""
        for start in range(0, len(rows), self._size):
            self._x, self._y, _ = self._batches.load(self._places[rows[start : start + self._size]])
            yield len(self._x)

    def gradient(self) -> Array:
        """The sum (size,) of the rows' gradients; good until the next call."""
        with np.errstate(all="ignore"):
            a = self._workspace.forward(self._x, self._batches.mask)
            difference = self._difference[: len(a)]
            self._loss.forward(a, self._y, difference)  # of which backward takes up what is left in it
            self._workspace.backward(self._loss.backward(a, self._y, difference))
        return self._gradient
