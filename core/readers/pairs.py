"""A dataset in the making from inputs and targets given as nested JSON lists; and inline datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.readers.array_targets import ArrayValues
from core.readers.draft import Draft
from core.readers.errors import DataError, RowError
from core.readers.features import Features, input_shape
from core.readers.json_numbers import flatten, numbers, shape_of
from core.readers.options import ReadOptions
from core.readers.targets import JsonTarget
from core.schema import DataSchema

ROWS = 4096


class PairTable:
    """Takes inputs and targets in order. The first row says what all look like; pointers go into {"x", "y"}."""

    def __init__(self, draft: Draft, x: object, y: object, pointers: bool, options: ReadOptions) -> None:
        _check_options(options)
        self._bad = draft.bad
        self._pointers = pointers
        self.row = 1
        self._x_shape = _first_shape(x, "x")
        self._y_shape = _first_shape(y, "y")
        shape = input_shape(self._x_shape, options)
        self._features = Features(draft, shape, np.dtype(np.float64), options, self._name_x)
        self._scalars: JsonTarget | None = None
        self._values: ArrayValues | None = None
        if self._y_shape == ():
            self._scalars = JsonTarget(draft, "y", options.kind, pointers)
        elif options.kind == "class":
            raise DataError(
                "A class label is a single string, number or boolean, but the first y is a list: "
                'give one label per row, or set options.target.kind to "real".'
            )
        else:
            self._values = ArrayValues(draft, self._y_shape, lambda at: self._name("y", at))

    def write(self, xs: Sequence[object], ys: Sequence[object]) -> None:
        """Append rows."""
        if not xs:
            return
        self._features.write(self._take("x", xs, self._x_shape))
        if self._scalars is not None:
            self._scalars.write(self.row, ys)
        if self._values is not None:
            self._values.write(self._take("y", ys, self._y_shape))
        self.row += len(xs)

    def skip(self) -> None:
        """Count a row that could not be taken."""
        self.row += 1

    def _take(self, key: str, values: Sequence[object], shape: tuple[int, ...]) -> Any:
        """The numbers of rows of nested lists; those that do not fit are noted, and taken as zeros."""
        leaves = flatten(values, shape)
        if leaves is None:
            leaves = []
            for index, value in enumerate(values):
                own = flatten([value], shape)
                if own is None:
                    reason = (
                        f"{key} has another shape than in the first row, which is {list(shape)}: make all rows alike."
                    )
                    self._note(key, index, None, reason)
                leaves += own if own is not None else [0] * int(np.prod(shape))
        found, flaws = numbers(leaves)
        width = len(leaves) // len(values)
        for flaw in flaws:
            self._note(key, flaw.index // width, flaw.index % width, flaw.reason)
        return found

    def _note(self, key: str, index: int, at: int | None, reason: str) -> None:
        row = self.row + index
        shape = self._x_shape if key == "x" else self._y_shape
        place = () if at is None else np.unravel_index(at, shape)
        pointer = "/".join(["", key, str(row - 1), *(str(i) for i in place)]) if self._pointers else None
        self._bad.add(row, key if at is None else self._name(key, at), reason, pointer)

    def _name(self, key: str, at: int) -> str:
        shape = self._x_shape if key == "x" else self._y_shape
        return f"{key}[{', '.join(str(i) for i in np.unravel_index(at, shape))}]"

    def _name_x(self, at: int) -> tuple[str, str | None]:
        place = np.unravel_index(at, self._x_shape)
        return self._name("x", at), "".join(f"/{i}" for i in place) if self._pointers else None

    def finish(self) -> DataSchema:
        """Finish all files; raises DataError if any row was bad."""
        self._bad.check()
        rows = self._features.close()
        target = self._scalars or self._values
        assert target is not None
        return DataSchema(
            rows=rows, input_shape=self._features.shape, input_dtype=self._features.dtype, target=target.finish()
        )


def _check_options(options: ReadOptions) -> None:
    if options.columns or options.target_column is not None:
        detail = 'Rows of "x" and "y" have no columns to choose from: leave options.columns and target.column away.'
        raise DataError(detail, [RowError(detail, pointer="/options")])


def _first_shape(value: object, key: str) -> tuple[int, ...]:
    shape = shape_of(value)
    if shape is None:
        raise DataError(
            f"The first {key} holds an empty list, or lists nested more than 8 deep: give each row numbers.",
            [RowError(f"The first {key} is empty or nested too deep.", 1, key)],
        )
    if key == "x" and shape == ():
        raise DataError(
            "The first x is not a list: write each row's features as a list, [0.5] if there is only one.",
            [RowError("x is not a list of numbers.", 1, key)],
        )
    return shape


def read_inline_pairs(x: list[Any], y: list[Any], draft: Draft, options: ReadOptions) -> DataSchema:
    """Read parsed JSON: one entry of `x` and of `y` for each row."""
    if len(x) != len(y):
        detail = f"x has {len(x):,} rows, but y has {len(y):,}: give each row its target."
        raise DataError(detail, [RowError(detail, pointer="/y")])
    if not x:
        raise DataError("There are no rows: a dataset needs at least one.", [RowError("x is empty.", pointer="/x")])
    table = PairTable(draft, x[0], y[0], True, options)
    for start in range(0, len(x), ROWS):
        table.write(x[start : start + ROWS], y[start : start + ROWS])
    return table.finish()
