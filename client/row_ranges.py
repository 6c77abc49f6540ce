"""Rows of a dataset that follow one another, as the API names them."""

from client.errors import InputError

Rows = range | tuple[int, int]
"""A range, or how many rows to pass over and how many to take."""


def as_rows(rows: Rows | None) -> list[int] | None:
    """How many to pass over, and how many to take; raises InputError for rows that do not follow one another."""
    if not isinstance(rows, range):
        return None if rows is None else [*rows]
    if rows.step != 1:
        raise InputError("The rows must follow one another: the step of their range is 1.", pointer="/rows")
    return [rows.start, len(rows)]
