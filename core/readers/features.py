"""x.npy in the making: every value checked, converted to the type that is stored, and written."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.readers.draft import Draft
from core.readers.errors import DataError, RowError
from core.readers.numbers import EXACT, inexact
from core.readers.options import ReadOptions
from core.schema import InputDtype

SMALL = {"bool", "int8", "int16", "uint16", "float16", "float32"}  # exact in float32


def stored_dtype(source: np.dtype[Any]) -> InputDtype:
    """How values of a type are stored unless the client says otherwise: bytes stay bytes, the rest becomes floats."""
    if source.name == "uint8":
        return "uint8"
    return "float32" if source.name in SMALL else "float64"


def input_shape(found: tuple[int, ...], options: ReadOptions) -> tuple[int, ...]:
    """The shape of one input: as found, or as asked for; raises DataError where that does not fit."""
    if prod(found) == 0:
        raise DataError("The rows hold no features: each row needs at least one number besides its target.")
    wanted = options.input_shape
    if wanted is None:
        if len(found) > 8:
            raise DataError(f"Inputs have {len(found)} axes, and at most 8 are possible: give them another shape.")
        return found
    if prod(wanted) != prod(found):
        detail = f"input_shape {list(wanted)} holds {prod(wanted):,} numbers, but each row has {prod(found):,}."
        raise DataError(detail, [RowError(detail, pointer="/options/input_shape")])
    return wanted


class Features:
    """Takes features in row order, in blocks of any size; `name` tells a position in the row for messages."""

    def __init__(
        self,
        draft: Draft,
        shape: tuple[int, ...],
        source: np.dtype[Any],
        options: ReadOptions,
        name: Callable[[int], tuple[str, str | None]],
    ) -> None:
        self.dtype: InputDtype = options.dtype or stored_dtype(source)
        self.shape = shape
        self._width = prod(shape)
        self._writer = draft.array("x.npy", shape, self.dtype)
        self._bad = draft.bad
        self._name = name
        self._offset = 0

    def write(self, block: NDArray[Any]) -> None:
        """Append numbers (native byte order); what cannot be stored is noted among the bad rows."""
        flat = block.reshape(-1)
        # A cast that loses something is found by `flaw`, not by NumPy's warning.
        with np.errstate(over="ignore", invalid="ignore"):
            stored = flat.astype(self.dtype, copy=False)
            wrong = _wrong(flat, stored)
        for index in np.flatnonzero(wrong) if wrong is not None else ():
            row, position = divmod(self._offset + int(index), self._width)
            column, pointer = self._name(position)
            pointer = pointer and f"/x/{row}{pointer}"
            self._bad.add(row + 1, column, _reason(flat[index], self.dtype), pointer)
        self._writer.write(stored)
        self._offset += flat.size

    def close(self) -> int:
        """Finish the file; returns its rows."""
        return self._writer.close()


def _wrong(flat: NDArray[Any], stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where values would not survive being stored, or None where all do."""
    if stored.dtype == flat.dtype and stored.dtype.kind == "u":
        return None
    if stored.dtype.name == "uint8":
        wrong = ~((flat >= 0) & (flat <= 255)) | (stored != flat)
    elif flat.dtype.kind in "iu" and flat.dtype.itemsize > 2:
        wrong = inexact_integers(flat, stored)
    else:
        wrong = ~np.isfinite(stored)
    return wrong if wrong.any() else None


def inexact_integers(integers: NDArray[Any], floats: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a float conversion changed an integer."""
    top = 2.0 ** (64 if integers.dtype.kind == "u" else 63)
    back = np.where(floats >= top, 0, floats).astype(integers.dtype)
    changed: NDArray[np.bool_] = back != integers
    return changed


def _reason(value: Any, dtype: InputDtype) -> str:
    if dtype == "uint8":
        return f"{value} is not a whole number from 0 to 255, which dtype uint8 needs: ask for another dtype."
    if not np.isfinite(value):
        return f"{value} is not a finite number: fill in a value or leave the row out."
    if value.dtype.kind in "iu" and (dtype == "float64" or abs(float(value)) > EXACT):
        return inexact(value)
    return f"{value} does not fit into {dtype}: ask for float64."
