"""Mini-batches: rows gathered from a dataset, preprocessed, with targets as the loss wants them."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.data import Dataset
from core.layers.layer import Array
from core.memory import room
from core.preprocessing import Preprocessing
from core.schema import ClassTarget


class Batches:
    """Room for one batch of up to `rows` rows, filled again and again."""

    def __init__(
        self,
        data: Dataset,
        preprocessing: Preprocessing,
        *,
        rows: int,
        width: int,
        dtype: DTypeLike,
        masked: bool = False,
    ) -> None:
        """`masked`: the network looks at the masks of the sequences, if the dataset has them."""
        shape = data.schema.input_shape
        self.classes = isinstance(data.schema.target, ClassTarget)
        self._data = data
        self._preprocessing = preprocessing
        self._raw = np.empty((rows, *shape), data.x.dtype)
        self.x = room((rows, *shape), dtype)
        self.y = room((rows, width), dtype)
        self.mask: Array | None = None  # of the batch: (n, time), 1 for the steps that count
        self.masks = room((rows, shape[0]), dtype) if masked and data.masks else None  # `mask` is the first n of these

    def blank(self) -> Array:
        """One input (input_shape) of raw zeros, preprocessed."""
        raw = np.zeros_like(self._raw[:1])
        made: Array = self._preprocessing.apply(raw, np.empty_like(self.x[:1]))[0]
        return made

    def load(self, indices: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Inputs (n, *input_shape), target rows (n, width), and the stored targets of the rows at `indices`.

        Good until the next load, as is `mask`. Class targets become one-hot rows, or their number when width is 1.
        """
        n = len(indices)
        raw, x, y = self._raw[:n], self.x[:n], self.y[:n]
        # "clip" lets take write straight into raw; the indices are our own and in range.
        np.take(self._data.x, indices, axis=0, out=raw, mode="clip")
        self._preprocessing.apply(raw, x)
        self.load_mask(indices)
        target = self._data.y[indices]
        if not self.classes:
            np.copyto(y, target.reshape(n, -1), casting="same_kind")
        elif y.shape[1] == 1:
            y[:, 0] = target
        else:
            y.fill(0)
            y[np.arange(n), target] = 1
        return x, y, target

    def load_mask(self, indices: NDArray[np.int64]) -> None:
        """The mask alone, where there is one."""
        if self.masks is not None:
            self.mask = self.masks[: len(indices)]
            np.copyto(self.mask, self._data.mask(indices))
