"""The masks of an archive: an array that says which steps of each sequence count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.readers.draft import Draft
from core.readers.errors import DataError, RowError, shown

if TYPE_CHECKING:
    from core.readers.array_source import ArraySource


class ArrayMask:
    """columns/0.npy in the making: for rows of `steps` steps either a 0 or 1 for each step, uint8 (rows, steps), or how
    many of the first steps count, int32 (rows,)."""

    def __init__(self, draft: Draft, source: ArraySource, rows: int, steps: int) -> None:
        self._bad, self._name = draft.bad, source.name
        self._flags = len(source.shape) == 2
        self._largest = 1 if self._flags else steps
        self._width = steps if self._flags else 1
        self._seen = 0
        if source.shape not in ((rows,), (rows, steps)) or source.dtype.kind not in "bui":
            detail = (
                f"The mask {shown(source.name)} must be whole numbers that say how many of the first steps of each row "
                f"count, {rows:,} of them, or {rows:,} x {steps:,} zeros and ones for the steps themselves; it is "
                f"{source.dtype.name} of shape {list(source.shape)}."
            )
            raise DataError(detail, [RowError(detail, pointer="/options/columns")])
        (draft.folder / "columns").mkdir(exist_ok=True)
        self._writer = draft.array("columns/0.npy", source.shape[1:], np.uint8 if self._flags else np.int32)

    def write(self, block: NDArray[Any]) -> None:
        """Append elements in row order."""
        flat = block.reshape(-1)
        for index in np.flatnonzero((flat < 0) | (flat > self._largest)):
            wanted = "0 or 1" if self._flags else f"a number of steps from 0 to {self._largest}"
            self._bad.add((self._seen + int(index)) // self._width + 1, self._name, f"{flat[index]} is not {wanted}.")
        self._writer.write(flat.astype(self._writer.dtype))
        self._seen += flat.size

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
