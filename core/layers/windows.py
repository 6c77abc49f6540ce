"""Windows that slide over the rows and columns of an image: where they stand, and what they see.

Along each axis, cell i of window p lies at input p stride + i dilation - before, where `before` is the padding in
front. Padding is never stored: each cell is visited with just those windows for which it lies inside the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag

from core.layers.layer import Misfit, Shape

T = TypeVar("T")
Extent = Annotated[int, Field(strict=True, ge=1, le=4096)]
Margin = Annotated[int, Field(strict=True, ge=0, le=4096)]
Word = Literal["valid", "same"]


def _form(value: Any) -> str:
    if isinstance(value, str):
        return "<word>"
    return "<each>" if isinstance(value, list | tuple) else "<one>"


# A number for both axes, or one for each: [rows, columns].
Extents = Annotated[
    Annotated[Extent, Tag("<one>")] | Annotated[tuple[Extent, Extent], Tag("<each>")],
    Discriminator(lambda value: "<one>" if _form(value) == "<word>" else _form(value)),
]
Padding = Annotated[
    Annotated[Word, Tag("<word>")] | Annotated[Margin, Tag("<one>")] | Annotated[tuple[Margin, Margin], Tag("<each>")],
    Discriminator(_form),
]
Padding1D = Annotated[
    Annotated[Word, Tag("<word>")] | Annotated[Margin, Tag("<one>")],
    Discriminator(lambda value: "<word>" if _form(value) == "<word>" else "<one>"),
]


@dataclass(frozen=True)
class Sliding:
    """`count` windows of `size` cells over an axis of `length`."""

    length: int
    size: int
    stride: int
    dilation: int
    before: int
    count: int

    @classmethod
    def over(cls, length: int, size: int, stride: int, dilation: int, padding: int | str) -> Self:
        """Padding in numbers is put at both ends. "valid" is none.

        "same" gives ceil(length / stride) windows, with half of the padding they need in front, and the odd one behind.
        """
        reach = (size - 1) * dilation + 1
        if padding == "same":
            count = -(-length // stride)
            return cls(length, size, stride, dilation, max(0, (count - 1) * stride + reach - length) // 2, count)
        before = 0 if isinstance(padding, str) else padding
        return cls(length, size, stride, dilation, before, (length + 2 * before - reach) // stride + 1)

    def frame(self) -> tuple[int, int]:
        """How far windows reach beyond the ends of the axis, with the cells that lie inside for any window at all."""
        shifts = [i * self.dilation - self.before for i, *_ in self.cells()]
        last = (self.count - 1) * self.stride
        return max(0, -min(shifts, default=0)), max(0, last + max(shifts, default=-last) - (self.length - 1))

    def frame_of_windows(self) -> tuple[int, int]:
        """The same seen from the inputs: how far beyond the windows those are that would meet them."""
        shifts = [i * self.dilation - self.before for i, *_ in self.cells()]
        front = max((shift // self.stride for shift in shifts), default=0)
        last = max(((self.length - 1 - shift) // self.stride for shift in shifts), default=0)
        return max(0, front), max(0, last - (self.count - 1))

    def cells(self) -> Iterator[tuple[int, slice, slice]]:
        """(i, the windows whose cell i lies inside, the inputs that they see there) for each cell that has any."""
        for i in range(self.size):
            shift = i * self.dilation - self.before  # window p sees input p stride + shift
            first = max(0, -(shift // self.stride))
            last = min(self.count - 1, (self.length - 1 - shift) // self.stride)
            if first <= last:
                inputs = slice(first * self.stride + shift, last * self.stride + shift + 1, self.stride)
                yield i, slice(first, last + 1), inputs


@dataclass(frozen=True)
class Windows:
    """Windows over an image, along its rows and its columns."""

    rows: Sliding
    columns: Sliding

    @property
    def shape(self) -> Shape:
        """How many there are along each axis."""
        return self.rows.count, self.columns.count

    def cells(self) -> Iterator[tuple[Shape, tuple[slice, ...], tuple[slice, ...]]]:
        """((i, j), index of the windows, index of their inputs) for batches (n, rows, columns, ...), row by row.

        An output y = sum over the cells of f(x, i, j) reads: y[windows] += f(x[inputs], i, j).
        """
        batch = slice(None)
        for (i, rows, x_rows), (j, columns, x_columns) in product(self.rows.cells(), self.columns.cells()):
            yield (i, j), (batch, rows, columns), (batch, x_rows, x_columns)


def slide(
    lengths: tuple[int, int],
    size: int | tuple[int, int],
    stride: int | tuple[int, int],
    padding: int | str | tuple[int, int],
    dilation: int | tuple[int, int] = 1,
    *,
    field: str,
    names: tuple[str, str] = ("rows", "columns"),
) -> Windows:
    """The windows over an image of `lengths`; raises Misfit, about `field`, where not even one fits."""
    each = zip(lengths, *(both(value) for value in (size, stride, dilation, padding)), strict=True)
    windows = Windows(*(Sliding.over(*axis) for axis in each))
    for axis, name in zip((windows.rows, windows.columns), names, strict=True):
        if axis.count < 1:
            reach, room = (axis.size - 1) * axis.dilation + 1, axis.length + 2 * axis.before
            padded = " with its padding" if axis.before else ""
            detail = (
                f"Its windows reach over {reach} {name}, but the input{padded} has only {room} here: "
                'make it smaller, or set "padding": "same".'
            )
            raise Misfit(field, detail)
    return windows


def both(value: T | tuple[T, T]) -> tuple[T, T]:
    """A number for both axes, or the two as they are."""
    return value if isinstance(value, tuple) else (value, value)


def pool(
    shape: tuple[int, int, int],
    size: int | tuple[int, int],
    stride: int | tuple[int, int] | None,
    padding: int | str | tuple[int, int],
) -> Windows:
    """The windows of a pooling layer, side by side unless a stride is said; each sees a cell. Raises Misfit."""
    if not isinstance(padding, str) and any(p >= s for p, s in zip(both(padding), both(size), strict=True)):
        detail = "With so much padding a window would see nothing else: make it smaller than the size of the window."
        raise Misfit("padding", detail)
    return slide(shape[:2], size, size if stride is None else stride, padding, field="size")
