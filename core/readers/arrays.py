"""Writes .npy files row by row, without knowing how many rows there will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from core.readers.errors import TooLarge


class Budget:
    """Bytes that a dataset may still take on disk."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spent = 0

    def spend(self, size: int) -> None:
        """Take `size` bytes; raises TooLarge before they are written."""
        self._spent += size
        if self._spent > self._limit:
            raise TooLarge("max_bytes", self._limit, "The arrays of the dataset become too large")


class ArrayWriter:
    """A .npy file of shape (rows, *row_shape), native byte order, C order; `rows` is what was written."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: Any, budget: Budget) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self._row_shape = row_shape
        self._budget = budget
        self._size = 0
        self._file = path.open("wb")
        self._write_header(0)

    def write(self, block: NDArray[Any]) -> None:
        """Append elements, of any shape, in row order."""
        block = np.ascontiguousarray(block, dtype=self.dtype)
        self._budget.spend(block.nbytes)
        self._file.write(block.data.cast("B") if block.size else b"")
        self._size += block.size

    def close(self) -> int:
        """Write the true number of rows into the header; returns it."""
        rows = self._size // int(np.prod(self._row_shape, dtype=np.int64))
        self._file.seek(0)
        self._write_header(rows)
        self._file.close()
        return rows

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write_header(self, rows: int) -> None:
        # NumPy pads the header so that the first axis can grow in place.
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (rows, *self._row_shape)}
        npy.write_array_header_1_0(self._file, header)
