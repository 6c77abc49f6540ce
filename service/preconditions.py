"""Changes that are made only while a thing is as the client saw it: If-Match and If-None-Match (RFC 9110, 13.1)."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request


@dataclass
class PreconditionFailed(Exception):
    """The thing is not as the request expects; `etag` is what it is now, None where there is none."""

    what: str
    etag: str | None

    def __str__(self) -> str:
        if self.etag is None:
            return f"{self.what} is not there, so it is not as If-Match says; send If-None-Match: * to make it."
        return f"{self.what} is not as the request expects: its ETag is {self.etag} now. Read it again and decide anew."


@dataclass(frozen=True)
class Conditions:
    """The ETags of If-Match and of If-None-Match; None where the header is not sent."""

    match: tuple[str, ...] | None
    none_match: tuple[str, ...] | None

    def check(self, what: str, etag: str | None) -> None:
        """Raise PreconditionFailed unless the thing, whose ETag is None when it is not there, may be changed."""
        if self.match is not None and (etag is None or not {"*", etag} & set(self.match)):
            raise PreconditionFailed(what, etag)
        if self.none_match is not None and etag is not None:
            weak = {tag.removeprefix("W/") for tag in self.none_match}
            if {"*", etag} & weak:
                raise PreconditionFailed(what, etag)


async def _conditions(
    request: Request,
    if_match: Annotated[str | None, Header(description="Only while its ETag is one of these.")] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: only while it is not there.")] = None,
) -> Conditions:
    return Conditions(_tags(request, "if-match"), _tags(request, "if-none-match"))


def _tags(request: Request, header: str) -> tuple[str, ...] | None:
    lines = request.headers.getlist(header)
    return tuple(tag.strip() for line in lines for tag in line.split(",")) if lines else None


Preconditions = Annotated[Conditions, Depends(_conditions)]
