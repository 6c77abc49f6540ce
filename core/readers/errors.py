"""What is wrong with data: the first bad rows with column and reason, or the limit they exceed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KEPT = 100  # bad rows that are reported one by one
COUNTED = 10_000  # bad rows after which reading stops: the file is not what it was taken for


@dataclass(frozen=True)
class RowError:
    """One problem. `row` counts data rows from 1 (a header is not one); `pointer` is for JSON bodies and options."""

    reason: str
    row: int | None = None
    column: str | None = None
    pointer: str | None = None


class DataError(Exception):
    """Data that cannot become a dataset; str() is one sentence that says what to do instead.

    `errors` holds one entry for each of the first 100 bad rows (empty where the problem is not one of rows);
    `total` counts all bad rows, or is None where reading stopped before the end.
    """

    def __init__(self, sentence: str, errors: Sequence[RowError] = (), total: int | None = None) -> None:
        self.errors = list(errors)
        self.total = total
        super().__init__(sentence)


class TooLarge(Exception):
    """Data beyond a limit: `limit` names it (a field of ReadLimits), `value` is the most that is allowed."""

    def __init__(self, limit: str, value: int, sentence: str) -> None:
        self.limit = limit
        self.value = value
        self.sentence = sentence
        super().__init__(f"{sentence} (limit {limit}: {value:,}).")


class BadRows:
    """Collects what is wrong row by row, so that one answer tells all of it. Keeps one problem for each row."""

    def __init__(self) -> None:
        self._found: dict[int, RowError] = {}

    def add(self, row: int, column: str | None, reason: str, pointer: str | None = None) -> None:
        """Note a problem in data row `row`, counted from 1; raises DataError when there are hopelessly many."""
        self._found.setdefault(row, RowError(reason, row, column, pointer))
        if len(self._found) >= COUNTED:
            raise self.error(complete=False)

    def check(self) -> None:
        """Raise DataError if anything was found."""
        if self._found:
            raise self.error()

    def error(self, last: RowError | None = None, complete: bool = True) -> DataError:
        """Everything found so far, and `last`, after which reading could not go on."""
        if last is not None:
            self._found.setdefault(last.row or 0, last)
            complete = False
        count = len(self._found)
        errors = [self._found[row] for row in sorted(self._found)][:KEPT]
        first = errors[0]
        place = f"row {first.row}" + (f", column {shown(first.column)}" if first.column is not None else "")
        rows = "One row" if count == 1 and complete else f"{count:,} rows" if complete else f"At least {count:,} rows"
        if count == 1 and not complete:
            rows = "At least one row"
        sentence = f"{rows} cannot be read; the first problem is in {place}: {first.reason}"
        return DataError(sentence, errors, count if complete else None)


def shown(text: object) -> str:
    """A value of the file for a message: quoted, short, and harmless to every terminal and encoding."""
    text = str(text)
    head = text[:40] + ("…" if len(text) > 40 else "")
    head = head.encode("utf-8", "backslashreplace").decode()
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in head) + '"'
