"""Lists in pages, newest first: opaque keyset cursors over (created_at, id)."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Connection, Select, and_, or_

from store.errors import BadCursor

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `next_cursor` is None on the last one."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(created_at: datetime, row_id: str) -> str:
    """A cursor behind the row that was created then."""
    microseconds = (created_at - EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{microseconds}:{row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """The row that a cursor stands behind; raises BadCursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        microseconds, row_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(":")
        if not row_id.isprintable():  # NUL above all, which PostgreSQL refuses
            raise BadCursor
        return EPOCH + timedelta(microseconds=int(microseconds)), row_id
    except (ValueError, binascii.Error, OverflowError) as error:
        raise BadCursor from error


def read_page(
    connection: Connection,
    query: Select[Any],
    created_at: Column[datetime],
    row_id: Column[str],
    limit: int,
    cursor: str | None,
) -> tuple[list[Any], str | None]:
    """The rows of one page, newest first, and the cursor of the next one."""
    if cursor is not None:
        moment, last = decode_cursor(cursor)
        query = query.where(or_(created_at < moment, and_(created_at == moment, row_id < last)))
    query = query.order_by(created_at.desc(), row_id.desc()).limit(limit + 1)
    rows = list(connection.execute(query))
    if len(rows) <= limit:
        return rows, None
    last_row = rows[limit - 1]
    return rows[:limit], encode_cursor(last_row.created_at, last_row.id)
