"""Class labels: each gets a number as it first appears; in the end the classes are sorted and renumbered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.readers.draft import Draft
from core.readers.errors import DataError, shown
from core.readers.options import ReadLimits
from core.readers.streams import is_text
from core.schema import ClassTarget, JsonScalar, class_key

BLOCK = 2**18
MANY_ROWS = 100  # from here on a label of its own for every row is taken for a mistake


class TooManyLabels(Exception):
    """More different labels than a class target may have."""


class _Numbering(dict[tuple[int, str | int | float], int]):
    """class_key -> number, given out at first sight. The labels are kept in that order."""

    def __init__(self, limits: ReadLimits) -> None:
        self.labels: list[JsonScalar] = []
        self.flaws: dict[int, str] = {}
        self._limits = limits

    def __missing__(self, key: tuple[int, str | int | float]) -> int:
        number = len(self)
        if number >= self._limits.max_classes:
            raise TooManyLabels
        label = None if key[0] == 0 else key[1]
        flaw = self._flaw(label)
        if flaw is not None:
            self.flaws[number] = flaw
        self.labels.append(label)
        self[key] = number
        return number

    def _flaw(self, label: JsonScalar) -> str | None:
        if isinstance(label, str):
            if not is_text(label):
                return f"The label {shown(label)} holds a NUL or is not UTF-8: save the file as UTF-8 text."
            if len(label) > self._limits.max_label_characters:
                return f"The label {shown(label)} is longer than {self._limits.max_label_characters} characters."
        elif isinstance(label, float):
            if not np.isfinite(label):
                return f"The label {label} is not a finite number: leave the row out."
        elif isinstance(label, int) and not -(2**63) <= label < 2**63:
            return "The label does not fit into 64 bits: write it as text."
        return None


class Labels:
    """The labels of all rows, in a file of int32 numbers."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._numbering = _Numbering(draft.limits)
        self._longest = draft.limits.max_label_characters + 1
        self._writer = draft.array("labels.npy", (), np.int32)

    def write(self, labels: Iterable[JsonScalar]) -> list[tuple[int, str]]:
        """Append labels; returns (position, reason) of those that cannot be one. Raises TooManyLabels."""
        return self.write_numbers(self.number(labels))

    def number(self, labels: Iterable[JsonScalar]) -> NDArray[np.int32]:
        """The numbers of labels, nothing written."""
        # 1, 1.0 and True are one key to a dict, so labels other than text are told apart by their type.
        keys: list[Any] = list(labels)
        if set(map(type, keys)) != {str}:
            keys = list(zip(map(type, keys), keys, strict=True))
        known = {key: self._number(key[1] if isinstance(key, tuple) else key) for key in dict.fromkeys(keys)}
        return np.fromiter(map(known.__getitem__, keys), dtype=np.int32, count=len(keys))

    def _number(self, label: JsonScalar) -> int:
        # What is too long is cut, so that thousands of such labels do not fill the memory.
        return self._numbering[class_key(label[: self._longest] if isinstance(label, str) else label)]

    def write_numbers(self, numbers: NDArray[np.int32]) -> list[tuple[int, str]]:
        """Append labels by their numbers."""
        self._writer.write(numbers)
        flaws = self._numbering.flaws
        if not flaws:
            return []
        positions = np.flatnonzero(np.isin(numbers, list(flaws)))
        return [(int(at), flaws[int(numbers.reshape(-1)[at])]) for at in positions]

    @property
    def found(self) -> list[JsonScalar]:
        """The different labels in order of appearance."""
        return self._numbering.labels

    def discard(self) -> None:
        """Forget all labels."""
        self._writer.discard()

    def finish(self, classes_of: list[JsonScalar], asked_for: bool) -> ClassTarget:
        """Write y.npy: positions among the sorted classes. `classes_of` gives each found label its class."""
        rows = self._writer.close()
        by_key = {class_key(label): label for label in reversed(classes_of)}
        keys = sorted(by_key)
        if len(keys) < 2:
            only = shown(classes_of[0]) if classes_of else "nothing"
            raise DataError(
                f"All rows have the label {only}, so there is nothing to tell apart: "
                'a class target needs two or more labels; for numbers to predict set options.target.kind to "real".'
            )
        if len(keys) == rows >= MANY_ROWS and not asked_for:
            raise DataError(every_row_its_own(isinstance(classes_of[0], str)))
        place = {key: position for position, key in enumerate(keys)}
        renumbered = np.array([place[class_key(label)] for label in classes_of], dtype=np.int32)
        numbers: NDArray[Any] = np.load(self._writer.path, mmap_mode="r")
        final = self._draft.array("y.npy", (), np.int32)
        for start in range(0, rows, BLOCK):
            final.write(renumbered[numbers[start : start + BLOCK]])
        final.close()
        self.discard()
        return ClassTarget(classes=tuple(by_key[key] for key in keys))


def every_row_its_own(text: bool) -> str:
    """The sentence for a column that hardly holds labels."""
    other = "choose another column with options.target.column"
    real = 'set options.target.kind to "real"'
    way = other if text else f"{real} if it is a number to predict, or {other}"
    return f'Every row has a label of its own, so there are no classes to learn: {way} ("class" insists on classes).'


def too_many(limits: ReadLimits) -> DataError:
    """What to say after TooManyLabels."""
    return DataError(
        f"The target has more than {limits.max_classes:,} different labels, which is too many for classes: "
        'set options.target.kind to "real" if it is a number to predict, '
        "or choose another column with options.target.column."
    )
