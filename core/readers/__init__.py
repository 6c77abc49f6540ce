"""Readers: files of any known format become schema.json, x.npy and y.npy, in bounded memory.

A file is read as a stream, every value is checked, and what is wrong is told by row and column. Rows of data are
counted from 1; a header and blank lines are no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.readers.delimited import read_csv
from core.readers.draft import Draft
from core.readers.errors import DataError, RowError, TooLarge
from core.readers.idx import read_idx
from core.readers.json_lines import read_jsonl
from core.readers.npy import read_npy_pair, read_npz
from core.readers.options import Format, ReadLimits, ReadOptions, TargetOptions
from core.readers.pairs import read_inline_pairs
from core.readers.parquet import read_parquet
from core.readers.sniffing import KNOWN, find_format
from core.schema import DataSchema

__all__ = [
    "DataError",
    "Format",
    "ReadLimits",
    "ReadOptions",
    "RowError",
    "TargetOptions",
    "TooLarge",
    "read",
    "read_inline",
]

READERS = {"csv": read_csv, "jsonl": read_jsonl, "npz": read_npz, "parquet": read_parquet}
WHOLE = {
    "idx": 'IDX comes as two files: send the images as "images" and their labels as "labels".',
    "npy": 'NPY comes as two files: send the arrays as "x" and "y", or both in one NPZ as "file".',
}
DEFAULT_OPTIONS = ReadOptions()
DEFAULT_LIMITS = ReadLimits()


def read(
    files: Mapping[str, Path],
    into: Path,
    *,
    format: str | None = None,  # noqa: A002 - the word of the API
    options: ReadOptions = DEFAULT_OPTIONS,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> DataSchema:
    """Turn uploaded files into a dataset's folder.

    Args:
        files: {"file": path} for csv, jsonl, npz and parquet; {"images": path, "labels": path} for idx;
            {"x": path, "y": path} for npy. Each may be gzipped, except npz and parquet.
        into: an existing empty folder. It receives schema.json, x.npy (rows, *input_shape), y.npy (class: int32
            positions among the classes, (rows,); real: float64 (rows, *shape)) and, for columns with the role
            weight, group or mask, columns/<i>.npy, i being the position in the schema's columns. After an error it
            holds leftovers.
        format: csv, jsonl, npz, npy, idx or parquet; found out from the bytes if None.
        options: what the client says about the file.
        limits: how much is read at most.

    Raises:
        DataError: the data cannot become a dataset; it says where and what to do.
        TooLarge: they go beyond a limit.
    """
    if format is not None and format not in KNOWN:
        raise DataError(f"The format must be one of {', '.join(KNOWN)}, or be left away to be found out.")
    parts = sorted(files)
    with Draft(into, limits) as draft:
        if parts == ["images", "labels"] and format in (None, "idx"):
            schema = read_idx(files["images"], files["labels"], draft, options)
        elif parts == ["x", "y"] and format in (None, "npy"):
            schema = read_npy_pair(files["x"], files["y"], draft, options)
        elif parts == ["file"]:
            found = find_format(files["file"], format, limits)
            if found not in READERS:
                raise DataError(WHOLE[found])
            schema = READERS[found](files["file"], draft, options)
        else:
            raise DataError(f'Send one "file", or "images" and "labels" in IDX, or "x" and "y" in NPY, not {parts}.')
    return _keep(schema, into)


def read_inline(
    x: list[Any],
    y: list[Any],
    into: Path,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> DataSchema:
    """Turn the `x` and `y` of a JSON body into a dataset's folder, as `read` does; errors carry JSON pointers."""
    with Draft(into, limits) as draft:
        schema = read_inline_pairs(x, y, draft, options)
    return _keep(schema, into)


def _keep(schema: DataSchema, into: Path) -> DataSchema:
    (into / "schema.json").write_text(schema.model_dump_json(), encoding="utf-8")
    return schema
