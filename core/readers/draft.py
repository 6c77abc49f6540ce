"""A dataset in the making: its folder, its limits, the files being written and what was found wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from core.readers.errors import BadRows, TooLarge
from core.readers.options import ReadLimits


class Draft:
    """A context: whatever happens, its files are closed at the end."""

    def __init__(self, folder: Path, limits: ReadLimits) -> None:
        self.folder = folder
        self.limits = limits
        self.bad = BadRows()
        self._spent = 0
        self._files: list[ArrayWriter] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            if not file.kept:
                file.discard()

    def array(self, name: str, row_shape: tuple[int, ...], dtype: Any) -> ArrayWriter:
        """A new .npy file of the folder."""
        writer = ArrayWriter(self, self.folder / name, row_shape, dtype)
        self._files.append(writer)
        return writer

    def spend(self, size: int) -> None:
        """Take `size` bytes of what the dataset may have; raises TooLarge before they are written."""
        self._spent += size
        if self._spent > self.limits.max_bytes:
            raise TooLarge("max_bytes", self.limits.max_bytes, "The arrays of the dataset become too large")


class ArrayWriter:
    """A .npy file of shape (rows, *row_shape), native byte order, C order; `rows` is what was written.

    Files that were not closed by then are removed with the draft.
    """

    def __init__(self, draft: Draft, path: Path, row_shape: tuple[int, ...], dtype: Any) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.kept = False
        self._draft = draft
        self._row_shape = row_shape
        self._size = 0
        self._file = path.open("wb")
        self._write_header(0)

    def write(self, block: NDArray[Any]) -> None:
        """Append elements, of any shape, in row order."""
        block = np.ascontiguousarray(block, dtype=self.dtype)
        if not block.size:
            return
        self._draft.spend(block.nbytes)
        self._file.write(block.data.cast("B"))
        self._size += block.size

    def close(self) -> int:
        """Write the true number of rows into the header; returns it."""
        rows = self._size // int(np.prod(self._row_shape, dtype=np.int64))
        self._file.seek(0)
        self._write_header(rows)
        self._file.close()
        self.kept = True
        return rows

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write_header(self, rows: int) -> None:
        # NumPy pads the header so that the first axis can grow in place.
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (rows, *self._row_shape)}
        npy.write_array_header_1_0(self._file, header)
