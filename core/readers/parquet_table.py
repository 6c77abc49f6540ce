"""Parquet's typed columns, read batch by batch with pyarrow; a process of its own, started by `parquet.read_parquet`.

It takes a job as JSON on its standard input and tells the outcome as JSON on its standard output.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet, types

from core.readers.array_targets import ArrayLabels, ArrayValues, array_target
from core.readers.draft import Draft
from core.readers.errors import DataError, TooLarge, shown
from core.readers.features import Features, inexact_integers, input_shape, stored_dtype
from core.readers.numbers import inexact
from core.readers.options import ReadLimits, ReadOptions
from core.readers.parquet import DAMAGED
from core.readers.side_columns import side_columns
from core.readers.table import assign_roles
from core.readers.targets import JsonTarget
from core.schema import DataSchema

CELLS = 2**18
PAGE_BUFFER = 2**16
MISSING = (
    "This server reads no Parquet, which needs an extra: install nudge-training[parquet] there, "
    "or upload the data as CSV or NPZ."
)
LARGE = "The Parquet file needs too much memory: write it in smaller row groups."
MEMORY = 4 * 2**30  # of the process


def read_table(path: Path, draft: Draft, options: ReadOptions) -> DataSchema:
    """Read a Parquet file."""
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(parquet.ParquetFile(path, buffer_size=PAGE_BUFFER, pre_buffer=False))
        except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names that are not UTF-8
            raise DataError(DAMAGED) from error
        _check_size(file.metadata, path.stat().st_size, draft.limits)
        table = _Table(file.schema_arrow, draft, options)
        for batch in _batches(file):
            table.write(batch)
    return table.finish()


def _batches(file: Any) -> Iterator[Any]:
    """Record batches of about CELLS cells. What goes wrong here is the file's fault."""
    rows = max(1, CELLS // len(file.schema_arrow.names))
    try:
        yield from file.iter_batches(batch_size=rows, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(DAMAGED) from error


def _check_size(metadata: Any, packed: int, limits: ReadLimits) -> None:
    """Refuse what the footer says is too large. Pages are unpacked in memory, so columns must come in parts."""
    if not metadata.num_columns or not metadata.num_rows:
        raise DataError("The Parquet file holds no rows: a dataset needs at least one.")
    cells = metadata.num_rows * metadata.num_columns
    if cells > limits.max_bytes:
        raise TooLarge("max_bytes", limits.max_bytes, "The table is too large")
    if cells > max(limits.free_bytes, packed * limits.max_ratio):
        raise TooLarge("max_ratio", limits.max_ratio, "The table has suspiciously many cells for its size")
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for column in range(group.num_columns):
            if group.column(column).total_uncompressed_size > limits.max_part_bytes:
                sentence = "A row group of the Parquet file is too large: write it in smaller row groups"
                raise TooLarge("max_part_bytes", limits.max_part_bytes, sentence)


def _numeric(kind: Any) -> np.dtype[Any] | None:
    """The NumPy type of a column, or None if it holds no plain numbers."""
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    return None


def _is_text(kind: Any) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _scalars(column: Any) -> list[Any]:
    try:
        scalars: list[Any] = column.to_pylist()
    except ValueError as error:  # text that is not UTF-8
        raise DataError(DAMAGED) from error
    return scalars


class _Table:
    def __init__(self, schema: Any, draft: Draft, options: ReadOptions) -> None:
        self._bad = draft.bad
        self._row = 1
        self._roles = assign_roles(schema.names, len(schema.names), options, draft.limits)
        self._types = [_numeric(field.type) for field in schema]
        self._at = self._roles.of("feature")
        self._targets = self._roles.of("target")
        for at in self._at + (self._targets if len(self._targets) > 1 else []):
            if self._types[at] is None:
                raise DataError(
                    f"The column {shown(schema.names[at])} of type {schema.field(at).type} holds no numbers: "
                    'give it the role "ignore" in options.columns, or turn it into numbers.'
                )
        for at, (kind, role) in enumerate(zip(self._types, self._roles.roles, strict=True)):
            if kind is None and role != "ignore" and not _is_text(schema.field(at).type):
                raise DataError(
                    f"The column {shown(schema.names[at])} of type {schema.field(at).type} cannot be a {role}: "
                    "turn it into numbers or text."
                )
        stored = [stored_dtype(kind) for at in self._at if (kind := self._types[at]) is not None]
        self._dtype: np.dtype[Any] = np.result_type(*stored)
        names = [self._roles.names[at] for at in self._at]
        shape = input_shape((len(names),), options)
        self._features = Features(draft, shape, self._dtype, options, lambda at: (names[at], None))
        self._target = self._make_target(draft, options)
        self._side = side_columns(draft, self._roles, shape[0])

    def _make_target(self, draft: Draft, options: ReadOptions) -> JsonTarget | ArrayLabels | ArrayValues:
        name = self._roles.names[self._targets[0]]
        kind = self._types[self._targets[0]]
        if len(self._targets) > 1:
            shape: tuple[int, ...] = (len(self._targets),)
            return array_target(draft, name, np.dtype(np.float64), shape, options.kind)
        if kind is None:
            return JsonTarget(draft, name, options.kind)
        return array_target(draft, name, kind, (), options.kind)

    def write(self, batch: Any) -> None:
        """Append a record batch."""
        x = np.empty((batch.num_rows, len(self._at)), dtype=self._dtype)
        for place, at in enumerate(self._at):
            x[:, place] = self._numbers(batch.column(at), at)
        self._features.write(x)
        if isinstance(self._target, JsonTarget):
            self._target.write(self._row, _scalars(batch.column(self._targets[0])))
        else:
            columns = [self._numbers(batch.column(at), at) for at in self._targets]
            self._target.write(columns[0] if len(columns) == 1 else np.stack(columns, axis=1).astype(np.float64))
        for at, side in self._side:
            side.write(self._row, _scalars(batch.column(at)))
        self._row += batch.num_rows

    def _numbers(self, column: Any, at: int) -> NDArray[Any]:
        """A column's numbers; missing ones, and integers that would not survive as floats, are noted."""
        name = self._roles.names[at]
        if column.null_count:
            for index in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)):
                self._bad.add(self._row + int(index), name, "The cell is empty: fill it in or leave the row out.")
            column = column.fill_null(self._types[at] != np.bool_ and 0)
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        if values.dtype.kind in "iu" and (at in self._at or len(self._targets) > 1):
            for index in np.flatnonzero(inexact_integers(values, values.astype(np.float64))):
                self._bad.add(self._row + int(index), name, inexact(values[index]))
        return values

    def finish(self) -> DataSchema:
        """Finish all files; raises DataError if any row was bad."""
        self._bad.check()
        rows = self._features.close()
        for _, side in self._side:
            side.close()
        return DataSchema(
            rows=rows,
            input_shape=self._features.shape,
            input_dtype=self._features.dtype,
            target=self._target.finish(),
            columns=tuple(column for _, column in self._roles.columns()),
        )


def _tell(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job; what comes of it, good or bad."""
    limits = ReadLimits(**job["limits"])
    options = ReadOptions.model_validate_json(job["options"])
    try:
        with Draft(Path(job["folder"]), limits) as draft:
            return {"schema": read_table(Path(job["path"]), draft, options).model_dump(mode="json")}
    except DataError as error:
        return {"sentence": str(error), "errors": [asdict(row) for row in error.errors], "total": error.total}
    except TooLarge as error:
        return {"sentence": error.sentence, "limit": error.limit, "value": error.value}
    except MemoryError:
        return {"sentence": LARGE, "errors": [], "total": None}
    except OSError as error:
        return {"errno": error.errno or 0}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(_tell(json.load(sys.stdin)), sys.stdout)
