"""One layer of a network by itself, to be run with other inputs or other parameters."""

from __future__ import annotations

import numpy as np

from core.layers.layer import Array, Context
from core.network import Network, Placed, pairs
from core.workspace import Workspace


class Alone:
    """The layer at its place, for batches of up to `rows`, with the numbers it has in the network.

    theta (size,) is a copy of its parameters, with those of the layers inside it behind its own; it may be changed.
    gradient (size,) is filled by backward.
    """

    def __init__(self, at: Placed, context: Context, rows: int) -> None:
        self._network = Network.trace([at.layer], at.input_shape)
        self._timed = at.timed
        contexts = [of_layer for _, of_layer in pairs([at], [context])]
        self.theta = _joined([array for of_layer in contexts for array in of_layer.parameters])
        self.gradient = np.zeros(self._network.size)
        self._workspace = Workspace(
            self._network,
            rows,
            theta=self.theta,
            state=_joined([array for of_layer in contexts for array in of_layer.state]),
            gradient=self.gradient,
            input_gradient=at.layer.categories() is None,
        )

    def forward(self, x: Array, mask: Array | None) -> Array:
        """y for a batch x; good until the next call."""
        return self._workspace.forward(x, mask if self._timed else None)

    def backward(self, dy: Array) -> Array | None:
        """Fill the gradient for the batch of the last forward; dx, None for whole numbers that are looked up."""
        return self._workspace.backward(dy)


def _joined(arrays: list[Array]) -> Array:
    return np.concatenate([np.zeros(0), *(array.reshape(-1) for array in arrays)])
