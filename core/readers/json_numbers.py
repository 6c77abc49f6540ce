"""Numbers out of parsed JSON: nested lists of equal shape, every leaf an int or a float and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from core.readers.errors import shown
from core.readers.numbers import EXACT, Flaw, inexact

MAX_AXES = 8


def numbers(cells: Sequence[object]) -> tuple[NDArray[np.float64], list[Flaw]]:
    """The numbers in `cells`, 0 where there is a flaw."""
    if set(map(type, cells)) <= {int, float}:
        try:
            values = np.array(cells, dtype=np.float64)
        except OverflowError:
            return _one_by_one(cells)
        if np.all(np.abs(values) < EXACT):  # False for infinity and NaN too
            return values, []
    return _one_by_one(cells)


def _one_by_one(cells: Sequence[object]) -> tuple[NDArray[np.float64], list[Flaw]]:
    values = np.zeros(len(cells))
    flaws = []
    for index, cell in enumerate(cells):
        if isinstance(cell, bool) or not isinstance(cell, int | float):
            flaws.append(Flaw(index, _not_a_number(cell), isinstance(cell, str)))
        elif isinstance(cell, float) and not math.isfinite(cell):
            flaws.append(Flaw(index, f"{cell} is not a finite number: leave the row out.", False))
        elif isinstance(cell, int) and not -(2**63) <= cell < 2**63:
            reason = f"The integer {big(cell)} does not fit into 64 bits: write it with a decimal point, or smaller."
            flaws.append(Flaw(index, reason, False))
        elif isinstance(cell, int) and abs(cell) >= EXACT and int(float(cell)) != cell:
            flaws.append(Flaw(index, inexact(cell), False))
        else:
            values[index] = cell
    return values, flaws


def big(integer: int) -> str:
    """An integer for a message; Python refuses to write out thousands of digits."""
    return shown(integer) if integer.bit_length() < 1024 else f"of {integer.bit_length():,} bits"


def _not_a_number(cell: object) -> str:
    match cell:
        case None:
            return "null is not a number: fill it in or leave the row out."
        case bool():
            return f"{str(cell).lower()} is not a number: write 0 or 1."
        case str():
            return f"{shown(cell)} is not a number: write numbers without quotes."
        case _:
            return f"{shown(json.dumps(cell))} stands where a number must: make all rows alike."


def shape_of(value: object) -> tuple[int, ...] | None:
    """The shape of nested lists, going by first elements: () for a scalar; None beyond 8 axes or with an empty list."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value or len(shape) > MAX_AXES:
            return None
        value = value[0]
    return tuple(shape)


def flatten(values: Sequence[object], shape: tuple[int, ...]) -> list[object] | None:
    """The leaves of nested lists in order, or None if any list has another length than `shape` says."""
    level: list[object] = list(values)
    for length in shape:
        if set(map(type, level)) != {list} or set(map(len, level)) != {length}:  # type: ignore[arg-type]
            return None
        level = list(chain.from_iterable(level))  # type: ignore[arg-type]
    return level
