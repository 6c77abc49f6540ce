"""JSON Lines: one row per line, {"x": [...], "y": ...} or an object or array of columns, all lines alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from core.readers.cells import CELLS, CellTable
from core.readers.draft import Draft
from core.readers.errors import DataError, shown
from core.readers.options import ReadOptions
from core.readers.pairs import PairTable
from core.readers.streams import BLOCK, Lines, open_bytes
from core.readers.table import assign_roles
from core.schema import DataSchema


class _Refused(ValueError):
    """JSON that its parser would let pass."""


def _constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not JSON: leave the row out.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"The key {shown(twice)} is given twice: keep one of them.")
    return members


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def read_jsonl(path: Path, draft: Draft, options: ReadOptions) -> DataSchema:
    """Read JSON Lines. Blank lines are skipped and not counted as rows. The first row says what all look like."""
    lines = Lines(open_bytes(path, draft.limits), draft.limits)
    try:
        rows = _rows(lines)
        first = next(rows, None)
        if first is None:
            raise DataError("The file holds no rows: upload at least one line of JSON.")
        value = first[0]
        if isinstance(value, _Refused):
            draft.bad.add(1, None, str(value))
            raise draft.bad.error(complete=False)
        if isinstance(value, dict) and value.keys() == {"x", "y"} and isinstance(value["x"], list):
            return _read_pairs(first, rows, draft, options)
        return _read_columns(first, rows, draft, options)
    finally:
        lines.close()


def _rows(lines: Lines) -> Iterator[tuple[Any, int]]:
    """(value, characters) of each line; a line that is no JSON gives its _Refused."""
    for line in lines:
        size, lines.since_mark = lines.since_mark, 0
        text = line.strip(" \t\r\n")
        if not text:
            continue
        yield _decode(text), size


def _decode(text: str) -> Any:
    """The value of a line, or its _Refused."""
    try:
        return _decoder.decode(text)
    except _Refused as refusal:
        return refusal
    except RecursionError:
        return _Refused("The JSON is nested too deep: rows are lists of numbers or flat objects.")
    except json.JSONDecodeError as error:
        place = f"{error.msg} at character {error.pos + 1}"
        return _Refused(f"The line is no row in JSON ({place}): write each row whole on a line of its own.")
    except ValueError:  # Python refuses integers of thousands of digits
        return _Refused("An integer has thousands of digits: write numbers as in 1000, -0.5 or 1e-3.")


def _read_pairs(
    first: tuple[Any, int],
    rows: Iterator[tuple[Any, int]],
    draft: Draft,
    options: ReadOptions,
) -> DataSchema:
    value, size = first
    table = PairTable(draft, value["x"], value["y"], False, options)
    xs, ys = [value["x"]], [value["y"]]
    for value, characters in rows:
        if isinstance(value, dict) and value.keys() == {"x", "y"}:
            xs.append(value["x"])
            ys.append(value["y"])
            size += characters
            if size >= BLOCK:
                table.write(xs, ys)
                xs, ys, size = [], [], 0
            continue
        table.write(xs, ys)
        xs, ys, size = [], [], 0
        reason = str(value) if isinstance(value, _Refused) else 'The row is no object with the keys "x" and "y".'
        draft.bad.add(table.row, None, reason)
        table.skip()
    if table.row == 1 and len(ys) == 1 and isinstance(ys[0], list) and len(xs[0]) == len(ys[0]):
        raise DataError(
            'The file is one JSON document, not JSON Lines: write one row per line, {"x": [...], "y": ...}, '
            "or send the document itself as application/json."
        )
    table.write(xs, ys)
    return table.finish()


def _read_columns(
    first: tuple[Any, int],
    rows: Iterator[tuple[Any, int]],
    draft: Draft,
    options: ReadOptions,
) -> DataSchema:
    value, size = first
    names = list(value) if isinstance(value, dict) else None
    if not isinstance(value, dict | list):
        raise DataError(
            'Each line must be a row: {"x": [...], "y": ...}, an object of columns, '
            "or an array that ends with the target."
        )
    width = len(value)
    table = CellTable(draft, assign_roles(names, width, options, draft.limits), False, options)
    cells = list(value.values()) if isinstance(value, dict) else list(value)
    for value, characters in rows:
        row, reason = _cells(value, names, width)
        if reason is None:
            cells += row
            size += characters
            if len(cells) >= CELLS or size >= BLOCK:
                table.write(cells)
                cells, size = [], 0
            continue
        table.write(cells)
        cells, size = [], 0
        draft.bad.add(table.row, None, reason)
        table.skip()
    table.write(cells)
    return table.finish()


def _cells(value: Any, names: list[str] | None, width: int) -> tuple[list[Any], str | None]:
    """The cells of a row in the order of the first one, or the reason why there are none."""
    reason: str | None = "The row is not of the form of the first one: make all lines objects, or all arrays."
    cells: list[Any] = []
    if isinstance(value, _Refused):
        reason = str(value)
    elif isinstance(value, dict) and names is not None:
        missing = [name for name in names if name not in value]
        extra = [name for name in value if name not in names] if len(value) > width else []
        if missing:
            reason = f"The column {shown(missing[0])} of the first row is missing here."
        elif extra:
            reason = f"The column {shown(extra[0])} is not in the first row."
        else:
            cells, reason = [value[name] for name in names], None
    elif isinstance(value, list) and names is None:
        cells, reason = value, None
        if len(value) != width:
            reason = f"The row has {len(value):,} values, but the first one has {width:,}."
    return cells, reason
