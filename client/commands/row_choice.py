"""Rows that follow one another, as FROM:TO or one number."""

import click


def chosen_rows(rows: str | None, count: int) -> range:
    """The rows that `--rows` names of `count`: all where it is not given, and none beyond the last."""
    if rows is None:
        return range(count)
    first, colon, end = rows.partition(":")
    try:
        start = int(first or "0" if colon else first)
        stop = int(end or count) if colon else start + 1
    except ValueError as error:
        detail = f"{rows!r} names no rows; write FROM:TO, such as 0:1000, or one number."
        raise click.BadParameter(detail, param_hint="--rows") from error
    chosen = range(start, min(stop, count))
    if start < 0 or not chosen:
        raise click.BadParameter(f"There are no rows {rows}: there are {count:,}, from 0.", param_hint="--rows")
    return chosen
