"""CSV: rows of cells between delimiters, quoted as in RFC 4180, in UTF-8, with or without a header."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from core.readers.cells import CELLS, CellTable
from core.readers.draft import Draft
from core.readers.errors import BadRows, DataError, RowError
from core.readers.numbers import parse
from core.readers.options import ReadLimits, ReadOptions
from core.readers.streams import BLOCK, Lines, open_bytes
from core.readers.table import TARGET_NAMES, assign_roles
from core.schema import DataSchema

DELIMITERS = "\t;|,"  # of equally good ones the first, for a comma may be a decimal comma
SAMPLE_LINES = 20


def read_csv(path: Path, draft: Draft, options: ReadOptions) -> DataSchema:
    """Read a CSV file. Blank lines are skipped and not counted as rows."""
    delimiter = options.delimiter or _sniff_delimiter(path, draft.limits)
    lines = Lines(open_bytes(path, draft.limits), draft.limits)
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        first = _first_row(reader, draft.bad)
        has_header = _is_header(first, options) if options.header is None else options.header
        names = [name.strip() for name in first] if has_header else None
        table = CellTable(draft, assign_roles(names, len(first), options, draft.limits), True, options)
        _read_rows(reader, lines, [] if has_header else first, len(first), table, draft.bad)
    finally:
        lines.close()
    return table.finish()


def _first_row(reader: Iterable[list[str]], bad: BadRows) -> list[str]:
    try:
        for row in reader:
            if row:
                return row
    except csv.Error as error:
        raise bad.error(RowError(_quoting(error), 1)) from None
    raise DataError("The file holds no rows: upload a table with at least one.")


def _read_rows(
    reader: Iterable[list[str]], lines: Lines, cells: list[str], width: int, table: CellTable, bad: BadRows
) -> None:
    """Hand rows to the table, many at a time; `cells` is the first row unless that is a header."""
    size = 0
    try:
        for row in reader:
            size += lines.since_mark
            lines.since_mark = 0
            if len(row) != width:
                if row:
                    table.write(cells)
                    cells, size = [], 0
                    bad.add(table.row, None, _ragged(len(row), width))
                    table.skip()
                continue
            cells += row
            if len(cells) >= CELLS or size >= BLOCK:
                table.write(cells)
                cells, size = [], 0
    except csv.Error as error:
        raise bad.error(RowError(_quoting(error), table.row + len(cells) // width)) from None
    table.write(cells)


def _ragged(found: int, width: int) -> str:
    return f"The row has {found:,} cells, but the first one has {width:,}: quote cells that hold the delimiter."


def _quoting(error: csv.Error) -> str:
    if "limit" in str(error):
        return "A cell is enormous: close its quotation mark, or upload such data as NPZ."
    return 'A quotation mark is not closed, or stands inside a cell: quote whole cells and double the " in them.'


def _is_header(first: list[str], options: ReadOptions) -> bool:
    """A header has a name we know in it, or no number at all (a row of data has at least one)."""
    cells = [cell.strip() for cell in first]
    asked = {*options.columns, options.target_column}
    if any(cell.casefold() in TARGET_NAMES or (cell in asked and not cell.isdigit()) for cell in cells):
        return True
    words = sum(flaw.word for flaw in parse(cells)[1])
    return words > 0 and words + cells.count("") == len(cells)


def _sniff_delimiter(path: Path, limits: ReadLimits) -> str:
    """The delimiter that cuts the first lines into the most cells, equally many in each."""
    lines = Lines(open_bytes(path, limits), limits)
    sample = []
    try:
        for line in islice(lines, SAMPLE_LINES):
            sample.append(line)
            if sum(map(len, sample)) > BLOCK:
                break
            lines.since_mark = 0
    finally:
        lines.close()

    def merit(delimiter: str) -> tuple[bool, int]:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            return False, 0
        (width, times), *_ = Counter(widths).most_common(1) or [(0, 0)]
        return width > 1 and times == len(widths), width if width > 1 else 0

    best = max(DELIMITERS, key=merit)
    return best if merit(best)[1] else ","
