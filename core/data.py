"""A dataset: a schema and two arrays, memory-mapped and never copied whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.random import Purpose, Random
from core.schema import ClassTarget, DataSchema, class_key

BLOCK_BYTES = 1 << 20


class DatasetDamaged(Exception):
    """A folder whose arrays are missing, broken or not what its schema says."""


@dataclass(frozen=True)
class Dataset:
    """Rows of inputs and targets, or a view of some of them.

    x: (rows, *input_shape) of input_dtype. y: for classes the index of each row's class, int32 (rows,); for real
    targets float64 (rows, *shape). `rows` names the rows that a view holds, in its order; None is all of them.
    masks: the columns with that role, whole numbers: a single one says how many of the first steps of each sequence
    count (rows,), or which (rows, time); several say it for one step each.
    """

    schema: DataSchema
    x: NDArray[Any]
    y: NDArray[Any]
    rows: NDArray[np.int64] | None = None
    masks: tuple[NDArray[Any], ...] = ()

    def __post_init__(self) -> None:
        n, target = len(self.x), self.schema.target
        wanted_x = (n, *self.schema.input_shape), np.dtype(self.schema.input_dtype)
        wanted_y: tuple[tuple[int, ...], np.dtype[Any]] = (n,), np.dtype(np.int32)
        if not isinstance(target, ClassTarget):
            wanted_y = (n, *target.shape), np.dtype(np.float64)
        if (self.x.shape, self.x.dtype) != wanted_x or (self.y.shape, self.y.dtype) != wanted_y:
            raise DatasetDamaged("The arrays of this dataset are not what its schema says.")
        if not (self.x.flags.c_contiguous and self.y.flags.c_contiguous):
            raise DatasetDamaged("The arrays of this dataset must lie in C order: see numpy.ascontiguousarray.")
        if self.rows is not None and not _are_places(self.rows, n):
            raise DatasetDamaged("The rows of this view must be int64 numbers of rows that exist.")
        if isinstance(target, ClassTarget) and n and not 0 <= int(self.y.min()) <= int(self.y.max()) < target.width:
            raise DatasetDamaged("This dataset names classes that its schema does not have.")
        steps = self.schema.input_shape[:1]
        forms = ((n,), (n, *steps)) if len(self.masks) == 1 else ((n,),)
        if any(mask.dtype.kind not in "ui" or mask.shape not in forms for mask in self.masks):
            raise DatasetDamaged("The masks of this dataset are not what its schema says.")
        if len(self.masks) != len(self.schema.places("mask")):
            raise DatasetDamaged("This dataset does not have as many masks as its schema says.")
        if self.schema.rows != (n if self.rows is None else len(self.rows)):
            raise DatasetDamaged("The number of rows of this dataset is not what its schema says.")

    def __len__(self) -> int:
        return self.schema.rows

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """The dataset of a folder with schema.json, x.npy and y.npy; its arrays are mapped read-only."""
        try:
            schema = DataSchema.model_validate_json((folder / "schema.json").read_bytes())
            names = "x.npy", "y.npy", *(f"columns/{i}.npy" for i in schema.places("mask"))
            x, y, *masks = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names)
        except (OSError, ValueError, EOFError) as error:
            raise DatasetDamaged(f"This dataset cannot be read: {error}") from error
        # Plain arrays over the same mapping: indexing the memmap subclass costs more than small batches do.
        return cls(schema, x.view(np.ndarray), y.view(np.ndarray), masks=tuple(m.view(np.ndarray) for m in masks))

    def save(self, folder: Path) -> None:
        """Write the folder that `open` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = slice(None) if self.rows is None else self.rows
        arrays = {"x": self.x, "y": self.y}
        if self.masks:
            (folder / "columns").mkdir(exist_ok=True)
            arrays |= {f"columns/{i}": m for i, m in zip(self.schema.places("mask"), self.masks, strict=True)}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array[rows], allow_pickle=False)
        (folder / "schema.json").write_text(self.schema.model_dump_json(), encoding="utf-8")

    def view(self, rows: NDArray[np.int64]) -> Dataset:
        """Some rows of a whole dataset, in the order given; x is not copied."""
        return replace(self, schema=self.schema.model_copy(update={"rows": len(rows)}), rows=rows)

    def indices(self) -> NDArray[np.int64]:
        """The places of this dataset's rows in x and y."""
        return np.arange(len(self.x)) if self.rows is None else self.rows

    def blocks(self) -> Iterator[NDArray[Any]]:
        """x in pieces of about a megabyte."""
        indices = self.indices()
        size = max(1, BLOCK_BYTES // max(1, self.x[:1].nbytes))
        for start in range(0, len(indices), size):
            yield self.x[indices[start : start + size]]

    def mask(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which steps of the sequences at `indices` count, (n, time); only for a dataset with masks."""
        masks = [mask[indices] for mask in self.masks]
        steps = np.arange(self.schema.input_shape[0])
        valid: NDArray[np.bool_]
        if len(masks) > 1:
            valid = np.stack(masks, axis=1) != 0
        else:
            valid = masks[0] != 0 if masks[0].ndim == 2 else steps < masks[0][:, None]
        return valid

    def with_classes(self, target: ClassTarget) -> Dataset:
        """The same rows with each class numbered as in `target`, which must know all of them."""
        own = self.schema.target
        assert isinstance(own, ClassTarget)
        place = {class_key(label): i for i, label in enumerate(target.classes)}
        numbers = np.array([place[class_key(label)] for label in own.classes], np.int32)
        return replace(self, schema=self.schema.model_copy(update={"target": target}), y=numbers[self.y])


def _are_places(rows: NDArray[np.int64], count: int) -> bool:
    if rows.dtype != np.int64 or not rows.flags.c_contiguous:
        return False
    return not len(rows) or bool(rows.min() >= 0 and rows.max() < count)


def validation_rows(rows: int, fraction: float) -> int:
    """How many of `rows` are set aside: the nearest number to the fraction, but at least 1 and never all."""
    return min(max(round(rows * fraction), 1), rows - 1)


def split(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Training and validation rows, drawn without replacement; each part keeps the rows in their order."""
    indices = dataset.indices()
    order = Random(seed, Purpose.SPLIT).permutation(len(indices))
    aside = validation_rows(len(indices), fraction)
    return (
        dataset.view(indices[np.sort(order[aside:])]),
        dataset.view(indices[np.sort(order[:aside])]),
    )


def digest(folder: Path) -> str:
    """ "sha256:..." over rows, input shape and type, target, the bytes of x and y, and of each column with a role of
    its own (weight, group, mask) in order; names do not matter."""
    schema = DataSchema.model_validate_json((folder / "schema.json").read_bytes())
    aside = [(i, column.role) for i, column in enumerate(schema.columns) if column.role not in ("feature", "target")]
    told = schema.model_dump(mode="json", include={"rows", "input_shape", "input_dtype", "target"})
    told["roles"] = [role for _, role in aside]
    total = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())
    for name in ("x.npy", "y.npy", *(f"columns/{i}.npy" for i, _ in aside)):
        array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        offset, size = array.offset, array.dtype.itemsize * prod(array.shape)
        with (folder / name).open("rb") as file:
            file.seek(offset)
            while size > 0 and (block := file.read(min(size, BLOCK_BYTES))):
                total.update(block)
                size -= len(block)
    return f"sha256:{total.hexdigest()}"
