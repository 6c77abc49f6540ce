"""What a client may say about a file, and how much of it may be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from core.schema import InputDtype
from core.spec import Count, Flag, Spec

Format = Literal["csv", "jsonl", "npz", "npy", "idx", "parquet"]
Role = Literal["feature", "target", "weight", "group", "mask", "ignore"]
Kind = Literal["class", "real"]


class TargetOptions(Spec):
    """Which column (or NPZ array) is the target, and whether it means classes or real numbers.

    `column` is a name, or a position counted from 0 (-1 is the last). Without `kind`, one whole number, text or
    boolean per row means classes; any float, or several numbers per row, means real.
    """

    column: Annotated[int, Field(strict=True)] | Annotated[str, Field(max_length=200)] | None = None
    kind: Kind | None = None


class ReadOptions(Spec):
    """The `options` of an upload. Everything is found out from the file where nothing is said.

    `columns` gives columns roles: `feature`, `target` (several make a real target of that width), `ignore`, and
    `weight`, `group` and `mask`, whose values are kept beside the arrays. Columns that are not named are features.
    A mask tells which steps of sequences count: a single column gives the number of the first steps that do, several a
    0 or 1 for one step each; in an NPZ it is an array (rows) or (rows, steps).
    Columns of a table without a header are named by position: "0", "1", ...
    `dtype` is how features are stored; each value must survive it (`float32` may round). `input_shape` gives each
    row of features a shape. `delimiter` and `header` are for CSV only.
    """

    target: TargetOptions | None = None
    columns: Annotated[dict[str, Role], Field(max_length=10_000)] = Field(default_factory=dict)
    delimiter: Annotated[str, Field(min_length=1, max_length=1, pattern=r"^[^\"\r\n\x000-9A-Za-z.+-]$")] | None = None
    header: Flag | None = None
    dtype: InputDtype | None = None
    input_shape: Annotated[tuple[Count, ...], Field(min_length=1, max_length=8)] | None = None

    @property
    def kind(self) -> Kind | None:
        """The kind of target asked for."""
        return self.target.kind if self.target else None

    @property
    def target_column(self) -> int | str | None:
        """The target column asked for."""
        return self.target.column if self.target else None


@dataclass(frozen=True)
class ReadLimits:
    """How much is read at most; whatever goes beyond raises TooLarge, before it takes memory or disk."""

    max_bytes: int = 8 * 2**30  # of an input when unpacked, and of the arrays written
    max_ratio: int = 100  # unpacked to packed size, once more than free_bytes are unpacked
    free_bytes: int = 8 * 2**20
    max_row_bytes: int = 2 * 2**20  # of one row of text
    max_part_bytes: int = 256 * 2**20  # of one column in one row group of Parquet
    max_columns: int = 65_536  # of a table
    max_classes: int = 10_000
    max_label_characters: int = 256
