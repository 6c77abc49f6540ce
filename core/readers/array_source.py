"""An array inside a file, read as blocks in row order, whatever its byte order and its layout."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.readers.array_masks import ArrayMask
from core.readers.array_targets import array_target
from core.readers.draft import Draft
from core.readers.errors import DataError, TooLarge
from core.readers.features import Features, input_shape
from core.readers.options import ReadLimits, ReadOptions
from core.readers.streams import BLOCK
from core.schema import Column, DataSchema


@dataclass
class ArraySource:
    """`name` is for messages; `stream` stands behind the `header` bytes; `fortran` means column order."""

    name: str
    stream: BinaryIO
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    header: int
    fortran: bool = False

    @property
    def size(self) -> int:
        """Bytes that the header promises."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def _storage(self) -> np.dtype[Any]:
        # Files may hold booleans other than 0 and 1, which NumPy must not see as such.
        return np.dtype(np.uint8) if self.dtype == np.bool_ else self.dtype

    def check(self, key: str, limits: ReadLimits, whole: int | None) -> None:
        """Refuse, before anything is read, what cannot be: no rows, too many bytes, other than the `whole` file has."""
        if not self.shape:
            raise DataError(f"{self.name} holds a single number: {key} needs one entry for each row.")
        if len(self.shape) > 32 or any(length > 2**31 - 1 for length in self.shape):
            raise TooLarge("max_bytes", limits.max_bytes, f"{self.name} has an impossible shape")
        if self.shape[0] == 0:
            raise DataError(f"{self.name} has no rows: a dataset needs at least one.")
        if whole is not None and self.header + self.size != whole:
            raise self._other_size(f"{whole - self.header:,}")
        if self.size > limits.max_bytes:
            raise TooLarge("max_bytes", limits.max_bytes, f"{self.name} asks for {self.size:,} bytes")

    def _other_size(self, held: str) -> DataError:
        return DataError(
            f"The header of {self.name} promises {self.size:,} bytes (shape {list(self.shape)}), but the file holds "
            f"{held}: it is cut off or damaged, upload it once more."
        )

    def blocks(self, folder: Path) -> Iterator[NDArray[Any]]:
        """The elements in row order and native byte order, up to about 1 MiB at a time; `folder` is for the rest."""
        native = self.dtype.newbyteorder("=")
        if not self.fortran or len(self.shape) == 1:
            for data in self._data():
                block = np.frombuffer(data, dtype=self._storage)
                yield (block != 0) if native == np.bool_ else block.astype(native, copy=False)
            return
        with tempfile.TemporaryFile(dir=folder) as file:
            for data in self._data():
                file.write(data)
            file.flush()
            columns = np.memmap(file, dtype=self._storage, mode="r", shape=self.shape, order="F")
            rows = max(1, BLOCK * 8 // (prod(self.shape[1:]) * self.dtype.itemsize))
            for start in range(0, self.shape[0], rows):
                block = np.ascontiguousarray(columns[start : start + rows])
                yield (block != 0) if native == np.bool_ else block.astype(native, copy=False)
            del columns

    def _data(self) -> Iterator[bytes]:
        left = self.size
        step = BLOCK - BLOCK % self.dtype.itemsize
        while left:
            data = self.stream.read(min(step, left))
            left -= len(data)
            if len(data) % self.dtype.itemsize or not data:
                raise self._other_size(f"only {self.size - left:,}")
            yield data
        if self.stream.read(1):
            raise self._other_size("more")


def read_arrays(
    x: ArraySource, y: ArraySource, draft: Draft, options: ReadOptions, masks: Sequence[ArraySource] = ()
) -> DataSchema:
    """Read inputs, targets and at most one mask, one row per entry of the first axis of each."""
    if x.shape[0] != y.shape[0]:
        raise DataError(
            f"{x.name} has {x.shape[0]:,} rows, but {y.name} has {y.shape[0]:,}: each row needs its target."
        )
    row = x.shape[1:]
    features = Features(
        draft,
        input_shape(row or (1,), options),
        x.dtype,
        options,
        lambda at: (f"{x.name}[{', '.join(str(i) for i in np.unravel_index(at, row or (1,)))}]", None),
    )
    kept = [(source, ArrayMask(draft, source, x.shape[0], features.shape[0])) for source in masks]
    target_shape = y.shape[1:]
    target = array_target(draft, y.name, y.dtype, target_shape, options.kind)
    for block in y.blocks(draft.folder):
        target.write(block)
    for block in x.blocks(draft.folder):
        features.write(block)
    for source, mask in kept:
        for block in source.blocks(draft.folder):
            mask.write(block)
    draft.bad.check()
    rows = features.close()
    for _, mask in kept:
        mask.close()
    return DataSchema(
        rows=rows,
        input_shape=features.shape,
        input_dtype=features.dtype,
        target=target.finish(),
        columns=tuple(Column(name=source.name, role="mask") for source in masks),
    )
