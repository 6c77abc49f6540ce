"""Answers: JSON made by the response's own schema, with ETags, and in the form that the client accepts."""

import hashlib
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from store.errors import BadCursor
from store.pages import Page

T = TypeVar("T", bound=BaseModel)
Record = TypeVar("Record")
JSON = "application/json"


class Listing(BaseModel, Generic[T]):
    """A page of things."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool = Field(False, description="Whether there is a next page.")
    next_cursor: str | None = Field(None, description="`?cursor=` of the next page.")


def answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A view as JSON; NaN and infinities become null."""
    return Response(view.model_dump_json(), status, headers, JSON)


def listing(page: Page[Record], view: Callable[[Record], BaseModel]) -> Response:
    """A page of the store's records, each as its view."""
    views = [view(record) for record in page.items]
    return answer(Listing(data=views, has_more=page.next_cursor is not None, next_cursor=page.next_cursor))


def place_of(cursor: str | None) -> int:
    """Where a page begins in a list whose cursors are places in it; raises BadCursor."""
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise BadCursor
    return int(cursor or 0)


def conditional(request: Request, view: BaseModel, etag: str | None = None) -> Response:
    """A view with its ETag, by default that of its bytes; or 304 when the client has it already."""
    body = view.model_dump_json().encode()
    etag = etag or etag_of(body)
    if matches(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, 200, {"ETag": etag, "Cache-Control": "private, no-cache"}, JSON)


def etag_of_view(view: BaseModel) -> str:
    """The ETag that `conditional` gives a view."""
    return etag_of(view.model_dump_json().encode())


def etag_of(body: bytes) -> str:
    """The ETag of an answer's bytes."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def matches(request: Request, etag: str) -> bool:
    """Whether If-None-Match names this ETag."""
    known = request.headers.get("if-none-match")
    if known is None:
        return False
    return known.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(","))


def preferred(request: Request, *offers: str) -> str:
    """Which of the media types on offer the client's Accept header likes best; the first one where it does not care."""
    wishes = [_wish(part) for part in request.headers.get("accept", "*/*").split(",")]
    best, best_rank = offers[0], (0.0, 0)
    for offer in offers:
        whole_group = offer.partition("/")[0] + "/*"
        # The most specific wish that covers the offer decides how much it is liked.
        ranks = [(kind == offer) * 2 + (kind == whole_group) for kind, _ in wishes]
        fitting = [
            (rank, quality) for rank, (kind, quality) in zip(ranks, wishes, strict=True) if rank or kind == "*/*"
        ]
        if fitting:
            rank, quality = max(fitting)
            if (quality, rank) > best_rank:
                best, best_rank = offer, (quality, rank)
    return best


def _wish(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return kind, float(parameter[2:])
            except ValueError:
                return kind, 0.0
    return kind, 1.0
