"""Columns kept beside x and y for later use: sample weights, groups and masks.

Column i of `DataSchema.columns`, if it has one of these roles, is the file `columns/<i>.npy`, one value per row:
weight: float64, finite and not negative; mask: int32, for sequences either the only one, the number of its first steps
that count, or one of several, 0 or 1 for one step each; group: int64, equal for rows of one group (the first 8 bytes of
the BLAKE2b digest of its text, so that memory does not grow with the number of groups).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.readers.draft import Draft
from core.readers.errors import shown
from core.readers.numbers import parse
from core.readers.streams import is_text

if TYPE_CHECKING:
    from core.readers.table import Roles

SIDE_ROLES = ("weight", "group", "mask")
DTYPES = {"weight": np.float64, "group": np.int64, "mask": np.int32}
FLAGS = {"false": 0, "true": 1}
COUNT = re.compile(r"[0-9]{1,9}")


def side_columns(draft: Draft, roles: Roles, steps: int) -> list[tuple[int, SideColumn]]:
    """(position, column) of all such columns of a table whose rows have `steps` steps."""
    counted = steps if len(roles.of("mask")) == 1 else None
    return [
        (position, SideColumn(draft, index, column.name, column.role, counted))
        for index, (position, column) in enumerate(roles.columns())
        if column.role in SIDE_ROLES
    ]


class SideColumn:
    """One such column in the making; a mask counts up to `steps`, or says 0 or 1 where that is None."""

    def __init__(self, draft: Draft, index: int, name: str, role: str, steps: int | None) -> None:
        (draft.folder / "columns").mkdir(exist_ok=True)
        self._steps = steps
        self._name = name
        self._role = role
        self._bad = draft.bad
        self._writer = draft.array(f"columns/{index}.npy", (), DTYPES[role])

    def write(self, row: int, cells: Sequence[object]) -> None:
        """Append cells, text or JSON scalars, the first of which stands in data row `row`."""
        texts = [_text(cell).strip(" \t") for cell in cells]
        match self._role:
            case "weight":
                self._writer.write(self._weights(row, texts))
            case "mask":
                self._writer.write(self._counts(row, texts))
            case _:
                self._writer.write(self._groups(row, texts))

    def _weights(self, row: int, texts: list[str]) -> NDArray[np.float64]:
        values, flaws = parse(texts)
        for flaw in flaws:
            self._bad.add(row + flaw.index, self._name, flaw.reason)
        for index in np.flatnonzero(values < 0):
            self._bad.add(row + int(index), self._name, f"The weight {texts[index]} is negative: use 0 or more.")
        return values

    def _counts(self, row: int, texts: list[str]) -> NDArray[np.int32]:
        counts = [int(text) if COUNT.fullmatch(text) else FLAGS.get(text.lower(), -1) for text in texts]
        largest, wanted = 1, "0 or 1"
        if self._steps is not None:
            largest, wanted = self._steps, f"a number of steps from 0 to {self._steps}"
        for index, count in enumerate(counts):
            if not 0 <= count <= largest:
                self._bad.add(row + index, self._name, f"The mask {shown(texts[index])} is not {wanted}.")
        return np.array(counts, dtype=np.int32)

    def _groups(self, row: int, texts: list[str]) -> NDArray[np.int64]:
        for index, text in enumerate(texts):
            if not text or not is_text(text):
                self._bad.add(row + index, self._name, "The group is empty or not UTF-8 text: fill it in.")
        digests = (blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in texts)
        return np.array([int.from_bytes(digest, "little", signed=True) for digest in digests], dtype=np.int64)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else "" if cell is None else json.dumps(cell)
