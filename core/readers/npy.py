"""NPY and NPZ: NumPy's own formats, headers read strictly and nothing ever unpickled."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from core.readers.array_source import ArraySource, read_arrays
from core.readers.draft import Draft
from core.readers.errors import DataError, RowError, shown
from core.readers.options import ReadLimits, ReadOptions
from core.readers.streams import BLOCK, Counted, open_bytes
from core.schema import DataSchema

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
NUMERIC = re.compile(r"[<>|=](b1|u[1248]|i[1248]|f[248])")
LABELS = "save labels as whole numbers, or upload labels that are text as CSV or JSON Lines"
LENGTH = {1: "<H", 2: "<I", 3: "<I"}


def read_header(stream: BinaryIO, name: str, instead_of_text: str = LABELS) -> ArraySource:
    """The array that begins here; raises DataError for all but plain numbers, with `instead_of_text` where it is
    text."""
    start = stream.read(8)
    if start[:6] != MAGIC or len(start) < 8 or start[6] not in LENGTH:
        raise DataError(f"{name} is not a NumPy array: save it with numpy.save or numpy.savez.")
    length_format = LENGTH[start[6]]
    packed = stream.read(struct.calcsize(length_format))
    if len(packed) < struct.calcsize(length_format):
        raise _damaged(name)
    (length,) = struct.unpack(length_format, packed)
    if length > MAX_HEADER:
        raise _damaged(name)
    try:
        header = ast.literal_eval(stream.read(length).decode("latin-1"))
        descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        raise _damaged(name) from None
    if not isinstance(descr, str) or not NUMERIC.fullmatch(descr):
        raise DataError(f"{name} holds {_what(descr)}, not plain numbers: {_way_out(descr, instead_of_text)}.")
    is_shape = isinstance(shape, tuple) and all(type(axis) is int and axis >= 0 for axis in shape)
    if not is_shape or not isinstance(fortran, bool):
        raise _damaged(name)
    dtype: np.dtype[Any] = np.dtype(descr)
    return ArraySource(name, stream, dtype, shape, 8 + len(packed) + length, fortran)


def _damaged(name: str) -> DataError:
    return DataError(f"The header of {name} is damaged: save the array once more with numpy.save or numpy.savez.")


def _what(descr: object) -> str:
    if not isinstance(descr, str):
        return "a structured array"
    kinds = {"O": "Python objects", "U": "text", "S": "bytes", "c": "complex numbers", "M": "dates", "m": "durations"}
    kind = descr.lstrip("<>|=")[:1]
    return kinds.get(kind, f"elements of type {shown(descr)}")


def _way_out(descr: object, instead_of_text: str) -> str:
    kind = descr.lstrip("<>|=")[:1] if isinstance(descr, str) else ""
    if kind == "O":
        return "pickles are never opened, save it after .astype(numpy.float32)"
    if kind in ("U", "S"):
        return instead_of_text
    return "save one plain array of numbers, for instance after .astype(numpy.float32)"


def read_npy_pair(x: Path, y: Path, draft: Draft, options: ReadOptions) -> DataSchema:
    """Read two .npy files, gzipped or not."""
    with open_bytes(x, draft.limits) as x_stream, open_bytes(y, draft.limits) as y_stream:
        sources = {}
        for key, path, stream in (("x", x, x_stream), ("y", y, y_stream)):
            source = read_header(stream, key)
            plain = not isinstance(getattr(stream, "raw", None), Counted)
            source.check(key, draft.limits, path.stat().st_size if plain else None)
            sources[key] = source
        return read_arrays(sources["x"], sources["y"], draft, options)


class Directory(io.FileIO):
    """An archive whose directory is not read into memory when it is enormous."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > 2 * BLOCK:
            raise zipfile.BadZipFile("directory too large")
        return super().read(size) or b""


def read_npz(path: Path, draft: Draft, options: ReadOptions) -> DataSchema:
    """Read the arrays `x` and `y` of an archive, or those that options name, and a mask; others are left alone."""
    with contextlib.ExitStack() as opened:
        try:
            x, y, *masks = _open_members(path, opened, draft.limits, options)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, struct.error) as error:
            # RuntimeError: encrypted; NotImplementedError: exotic compression; OSError, ValueError: impossible offsets
            sentence = "The archive is damaged or not an NPZ: save it with numpy.savez or numpy.savez_compressed."
            raise DataError(sentence) from error
        return read_arrays(x, y, draft, options, masks)


def _open_members(
    path: Path, opened: contextlib.ExitStack, limits: ReadLimits, options: ReadOptions
) -> list[ArraySource]:
    file = opened.enter_context(Directory(path))
    archive = opened.enter_context(zipfile.ZipFile(cast(BinaryIO, file)))
    names = archive.namelist()
    if any(name.startswith("xl/") for name in names):
        raise DataError("This is an Excel workbook: save the sheet as CSV and upload that.")
    sources = []
    for name in _choose([name.removesuffix(".npy") for name in names if name.endswith(".npy")], options):
        info = archive.getinfo(name + ".npy")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile("other compression")
        counted = Counted(opened.enter_context(archive.open(info)), path.stat().st_size, limits)
        source = read_header(cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, counted), BLOCK)), name)
        source.check(name, limits, info.file_size)
        sources.append(source)
    return sources


def _choose(arrays: list[str], options: ReadOptions) -> list[str]:
    """Which array is the inputs, which the targets, and which the mask, if there is one."""
    roles = options.columns
    for role in roles.values():
        if role not in ("feature", "target", "mask", "ignore"):
            detail = f"The role {role} is for columns of CSV, JSON Lines and Parquet, not for arrays."
            raise DataError(detail, [RowError(detail, pointer="/options/columns")])
    asked = options.target_column
    x = [name for name, role in roles.items() if role == "feature"] or ["x"]
    y = [asked] if isinstance(asked, str) else [name for name, role in roles.items() if role == "target"] or ["y"]
    masks = [name for name, role in roles.items() if role == "mask"]
    if len(x) > 1 or len(y) > 1 or len(masks) > 1:
        raise DataError("Options name several arrays for one purpose: name one of inputs, one of targets, one mask.")
    for name in (x[0], y[0], *masks):
        if arrays.count(name) != 1:
            found = ", ".join(shown(other) for other in arrays[:12]) or "none"
            raise DataError(
                f"The archive needs exactly one array {shown(name)} (it has {found}): "
                "save it with numpy.savez(file, x=inputs, y=targets), or set options.columns to "
                '{"your inputs": "feature", "your targets": "target"}.'
            )
    return [x[0], y[0], *masks]
