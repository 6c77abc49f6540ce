"""A dataset in the making from rows of cells: text (CSV) or JSON scalars (JSON Lines)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.readers import json_numbers
from core.readers import numbers as text_numbers
from core.readers.array_targets import ArrayValues
from core.readers.draft import Draft
from core.readers.errors import DataError
from core.readers.features import Features, input_shape
from core.readers.numbers import Flaw
from core.readers.options import ReadOptions
from core.readers.side_columns import side_columns
from core.readers.table import Roles
from core.readers.targets import JsonTarget, TextTarget
from core.schema import DataSchema

CELLS = 2**16  # cells converted at a time


class CellTable:
    """Takes whole rows, in order; `text` says whether cells are text or JSON scalars."""

    def __init__(self, draft: Draft, roles: Roles, text: bool, options: ReadOptions) -> None:
        self._roles = roles
        self._bad = draft.bad
        self._row = 1
        self._zero: Any = "0" if text else 0
        self._numbers: Callable[[Sequence[Any]], tuple[NDArray[np.float64], list[Flaw]]] = (
            text_numbers.parse if text else json_numbers.numbers
        )
        at = roles.of("feature")
        self._select: slice | list[int] = slice(at[0], at[-1] + 1) if at[-1] - at[0] + 1 == len(at) else at
        names = [roles.names[position] for position in at]
        self._features = Features(
            draft,
            input_shape((len(at),), options),
            np.dtype(np.float64),
            options,
            lambda position: (names[position], None),
        )
        self._targets = roles.of("target")
        name = roles.names[self._targets[0]]
        self._one: TextTarget | JsonTarget | None = None
        self._several: ArrayValues | None = None
        if len(self._targets) == 1:
            kind = TextTarget if text else JsonTarget
            self._one = kind(draft, name, options.kind)
        elif options.kind == "class":
            raise DataError("Classes come from one target column, but options.columns names several: keep one.")
        else:
            self._several = ArrayValues(draft, (len(self._targets),), lambda _: name)
        self._side = side_columns(draft, roles, self._features.shape[0])

    def write(self, cells: list[Any]) -> None:
        """Append rows, given as one list of cells, row after row; the list is used up."""
        if not cells:
            return
        width = len(self._roles.names)
        rows = len(cells) // width
        others = {
            position: cells[position::width] for position, role in enumerate(self._roles.roles) if role != "feature"
        }
        for position in others:
            cells[position::width] = [self._zero] * rows
        values, flaws = self._numbers(cells)
        for flaw in flaws:
            row, position = divmod(flaw.index, width)
            self._bad.add(self._row + row, self._roles.names[position], flaw.reason)
        self._features.write(values.reshape(rows, width)[:, self._select])
        if self._one is not None:
            self._one.write(self._row, others[self._targets[0]])
        if self._several is not None:
            self._several.write(self._real(others))
        for position, side in self._side:
            side.write(self._row, others[position])
        self._row += rows

    def _real(self, others: dict[int, list[Any]]) -> NDArray[np.float64]:
        columns = []
        for position in self._targets:
            values, flaws = self._numbers(others[position])
            for flaw in flaws:
                self._bad.add(self._row + flaw.index, self._roles.names[position], flaw.reason)
            columns.append(values)
        return np.stack(columns, axis=1)

    def skip(self) -> None:
        """Count a row that could not be taken."""
        self._row += 1

    @property
    def row(self) -> int:
        """The data row that comes next, counted from 1."""
        return self._row

    def finish(self) -> DataSchema:
        """Finish all files; raises DataError if any row was bad, or there was none."""
        self._bad.check()
        rows = self._features.close()
        if not rows:
            raise DataError("There are no data rows: a dataset needs at least one.")
        for _, side in self._side:
            side.close()
        target = self._one or self._several
        assert target is not None
        return DataSchema(
            rows=rows,
            input_shape=self._features.shape,
            input_dtype=self._features.dtype,
            target=target.finish(),
            columns=tuple(column for _, column in self._roles.columns()),
        )
