"""y.npy in the making, for targets with one value per row whose meaning may only be known at the last row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.readers.draft import Draft
from core.readers.errors import DataError, RowError, shown
from core.readers.json_numbers import big
from core.readers.labels import Labels, TooManyLabels, too_many
from core.readers.numbers import INTEGER, NUMBER, Flaw, inexact, parse
from core.readers.options import Kind
from core.schema import ClassTarget, JsonScalar, RealTarget

Word = tuple[int, str]  # data row and text of what is no number


class OpenTarget:
    """Keeps labels and numbers of all rows until it is clear which of them the column means.

    Any float makes it real; whole numbers, text and booleans make it classes; floats beside text are a
    contradiction that the client has to resolve.
    """

    def __init__(self, draft: Draft, name: str | None, kind: Kind | None) -> None:
        self.kind = kind
        self.name = name
        self.bad = draft.bad
        self._draft = draft
        self._labels = Labels(draft) if kind != "real" else None
        self._values = draft.array("values.npy", (), np.float64) if kind != "class" else None
        self._word: Word | None = None
        self._float = False

    def add(
        self, row: int, labels: Sequence[JsonScalar], values: NDArray[np.float64], word: Word | None, floats: bool
    ) -> None:
        """Append rows, the first of which is data row `row`, both as labels and as numbers.

        `word` is the first that is no number, `floats` says whether there is a number that is not whole.
        """
        self._word = self._word or word
        self._float = self._float or floats
        if self.kind is None:
            self._weigh()
        if self._labels is not None:
            self._add_labels(row, labels)
        if self._values is not None:
            self._values.write(values)

    def _weigh(self) -> None:
        if self._word is not None and self._float:
            row, text = self._word
            sentence = (
                f"The target mixes numbers that have a decimal point with {shown(text)} in row {row}: correct the "
                'rows that are no numbers, or set options.target.kind to "class" to take all of them as labels.'
            )
            raise DataError(sentence, [RowError(f"{shown(text)} is not a number.", row, self.name)])
        if self._float and self._labels is not None:
            self._labels.discard()
            self._labels = None
        if self._word is not None and self._values is not None:
            self._values.discard()
            self._values = None

    def _add_labels(self, row: int, labels: Sequence[JsonScalar]) -> None:
        assert self._labels is not None
        try:
            flaws = self._labels.write(labels)
        except TooManyLabels:
            if self._values is None:
                raise too_many(self._draft.limits) from None
            self._labels.discard()  # it may still turn out to be real
            self._labels = None
            return
        for position, reason in flaws:
            self.bad.add(row + position, self.name, reason, self.pointer(row + position))

    def pointer(self, row: int) -> str | None:
        """Where a row's target stands in a JSON body."""
        return None

    def finish(self) -> ClassTarget | RealTarget:
        """Decide, and write y.npy."""
        if self.kind == "real" or (self.kind is None and self._float):
            assert self._values is not None
            self._values.close()
            self._values.path.rename(self._draft.folder / "y.npy")
            return RealTarget(shape=())
        if self._values is not None:
            self._values.discard()
        if self._labels is None:
            raise too_many(self._draft.limits)
        classes = self.classes(self._labels.found)
        return self._labels.finish(classes, self.kind == "class")

    def classes(self, found: list[JsonScalar]) -> list[JsonScalar]:
        """What the labels found are as classes, one for one."""
        return found


class TextTarget(OpenTarget):
    """A column of text: whether "1" is a number or a word depends on the other rows."""

    def write(self, row: int, cells: Sequence[str]) -> None:
        """Append cells, the first of which stands in data row `row`."""
        texts = [cell.strip(" \t") for cell in cells]
        if self.kind == "class":
            for position, text in enumerate(texts):
                if not text:
                    self.bad.add(row + position, self.name, "The row has no label: fill it in or leave the row out.")
            self.add(row, texts, np.zeros(0), None, False)
            return
        different = list(dict.fromkeys(texts))  # parsing is dear, and labels repeat
        parsed, flaws = parse(different)
        word = self._note(row, texts, {different[flaw.index]: flaw for flaw in flaws}) if flaws else None
        flawed = {flaw.index for flaw in flaws}
        joined = "".join(text for index, text in enumerate(different) if index not in flawed)
        place = {text: index for index, text in enumerate(different)}
        values = parsed[np.fromiter(map(place.__getitem__, texts), dtype=np.intp, count=len(texts))]
        self.add(row, texts, values, word, any(mark in joined for mark in ".eE"))

    def _note(self, row: int, texts: list[str], flaws: dict[str, Flaw]) -> Word | None:
        """Note the bad rows; returns the first that is a word, which may be a label."""
        word: Word | None = None
        for position, text in enumerate(texts):
            flaw = flaws.get(text)
            if flaw is None:
                continue
            if flaw.word and self.kind is None:
                word = word or (row + position, text)
            else:
                self.bad.add(row + position, self.name, flaw.reason)
        return word

    def classes(self, found: list[JsonScalar]) -> list[JsonScalar]:
        """Whole numbers where all labels are, else floats, else booleans, else the texts as they stand."""
        texts = [str(label) for label in found]
        if all(INTEGER.fullmatch(text) for text in texts):
            integers = [int(text) for text in texts]
            if all(-(2**63) <= integer < 2**63 for integer in integers):
                return list(integers)
        elif all(NUMBER.fullmatch(text) and math.isfinite(float(text)) for text in texts):
            return [float(text) for text in texts]
        elif all(text.lower() in ("true", "false") for text in texts):
            return [text.lower() == "true" for text in texts]
        return found


class JsonTarget(OpenTarget):
    """JSON scalars, which say themselves what they are."""

    def __init__(self, draft: Draft, name: str | None, kind: Kind | None, pointers: bool = False) -> None:
        super().__init__(draft, name, kind)
        self._pointers = pointers

    def pointer(self, row: int) -> str | None:
        return f"/y/{row - 1}" if self._pointers else None

    def write(self, row: int, scalars: Sequence[object]) -> None:
        """Append scalars, the first of which stands in data row `row`."""
        word: Word | None = None
        floats = False
        labels: list[JsonScalar] = []
        values = np.zeros(len(scalars))
        for position, scalar in enumerate(scalars):
            reason = self._flaw(scalar)
            if reason is not None:
                self.bad.add(row + position, self.name, reason, self.pointer(row + position))
                labels.append(0)
                continue
            assert scalar is None or isinstance(scalar, str | int | float)
            labels.append(scalar)
            if isinstance(scalar, bool | str | None):
                word = word or (row + position, str(scalar))
            elif self.kind != "class":
                values[position] = scalar
                floats = floats or isinstance(scalar, float)
        self.add(row, labels, values, word, floats)

    def _flaw(self, scalar: object) -> str | None:
        reason: str | None = None
        if isinstance(scalar, list | dict):
            reason = "The target is a list or an object here, but a single value in the first row: make all rows alike."
        elif scalar is None and self.kind != "class":
            reason = "The target is null: fill it in or leave the row out."
        elif isinstance(scalar, float) and not math.isfinite(scalar):
            reason = f"The target {scalar} is not a finite number: leave the row out."
        elif isinstance(scalar, int) and not -(2**63) <= scalar < 2**63:
            reason = f"The integer {big(scalar)} does not fit into 64 bits: write it as text."
        elif self.kind == "real" and isinstance(scalar, bool | str):
            reason = f"{shown(scalar)} is not a number: correct it or leave the row out."
        elif self.kind == "real" and isinstance(scalar, int) and int(float(scalar)) != scalar:
            reason = inexact(scalar)
        return reason
