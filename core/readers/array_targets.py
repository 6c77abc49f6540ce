"""y.npy in the making, where the type of the source already says what the target means."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.readers.draft import Draft
from core.readers.errors import DataError
from core.readers.features import inexact_integers
from core.readers.labels import Labels, TooManyLabels, too_many
from core.readers.numbers import inexact
from core.readers.options import Kind
from core.schema import ClassTarget, RealTarget


class ArrayLabels:
    """Labels from arrays of integers, booleans or (where classes were asked for) floats."""

    def __init__(self, draft: Draft, name: str | None, kind: Kind | None) -> None:
        self._name = name
        self._kind = kind
        self._limits = draft.limits
        self._bad = draft.bad
        self._labels = Labels(draft)
        self._rows = 0

    def write(self, block: NDArray[Any]) -> None:
        """Append one label per row."""
        different, inverse = np.unique(block.reshape(-1), return_inverse=True)
        try:
            numbers = self._labels.number(different[: self._limits.max_classes + 1].tolist())
        except TooManyLabels:
            raise too_many(self._limits) from None
        for position, reason in self._labels.write_numbers(numbers[inverse]):
            self._bad.add(self._rows + position + 1, self._name, reason)
        self._rows += block.size

    def finish(self) -> ClassTarget:
        """Write y.npy."""
        return self._labels.finish(self._labels.found, self._kind == "class")


class ArrayValues:
    """Real targets of any shape; `name` tells a position in a row's target for messages."""

    def __init__(self, draft: Draft, shape: tuple[int, ...], name: Callable[[int], str | None]) -> None:
        if prod(shape) == 0:
            raise DataError("The target has no values: give each row at least one number.")
        self.shape = shape
        self._name = name
        self._bad = draft.bad
        self._writer = draft.array("y.npy", shape, np.float64)
        self._offset = 0

    def write(self, block: NDArray[Any]) -> None:
        """Append numbers in row order, in blocks of any size."""
        flat = block.reshape(-1)
        stored = flat.astype(np.float64, copy=False)
        whole = flat.dtype.kind in "iu"
        wrong = inexact_integers(flat, stored) if whole else ~np.isfinite(stored)
        for index in np.flatnonzero(wrong):
            row, position = divmod(self._offset + int(index), prod(self.shape))
            value = flat[index]
            reason = inexact(value) if whole else f"{value} is not a finite number: leave the row out."
            self._bad.add(row + 1, self._name(position), reason)
        self._writer.write(stored)
        self._offset += flat.size

    def finish(self) -> RealTarget:
        """Finish y.npy."""
        self._writer.close()
        return RealTarget(shape=self.shape)


def array_target(
    draft: Draft, name: str | None, dtype: np.dtype[Any], shape: tuple[int, ...], kind: Kind | None
) -> ArrayLabels | ArrayValues:
    """Where the targets of an array go: `shape` is that of one row's target.

    One integer or boolean per row is a label. Floats, and any target with an axis of its own, are real, unless
    classes are asked for.
    """
    is_label = kind == "class" or (kind is None and shape == () and dtype.kind in "biu")
    if not is_label:
        return ArrayValues(draft, shape, lambda at: _element(name, shape, at))
    if prod(shape) != 1:
        raise DataError(
            f"Class labels must be one per row, but the target has shape {list(shape)} in each row: "
            'for one-hot rows upload their argmax, for several numbers set options.target.kind to "real".'
        )
    return ArrayLabels(draft, name, kind)


def _element(name: str | None, shape: tuple[int, ...], at: int) -> str | None:
    if shape == () or name is None:
        return name
    return f"{name}[{', '.join(str(i) for i in np.unravel_index(at, shape))}]"
