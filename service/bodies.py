"""Request bodies: counted while they arrive, never waited for endlessly, and strictly JSON."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.settings import ServiceSettings

SLOWEST = 16 * 1024  # bytes a second that a sender may always take


@dataclass
class BodyTooLarge(Exception):
    """The body is longer than a limit; `setting` is the variable that sets it."""

    setting: str
    limit: int

    def __str__(self) -> str:
        return f"The body is larger than {self.limit} bytes ({self.setting}); send less, or have the limit raised."


@dataclass
class WrongContentType(Exception):
    """The body is of a type that the operation does not read."""

    got: str
    wanted: str

    def __str__(self) -> str:
        got = f"not {self.got[:100]!r}" if self.got else "and say so in the Content-Type header"
        return f"Send {self.wanted}, {got}."


@dataclass
class EncodedBody(Exception):
    """The body is compressed, or otherwise encoded, where it is read as it is."""

    encoding: str

    def __str__(self) -> str:
        return f"The Content-Encoding is {self.encoding[:100]!r}; send the body as it is, and leave the header out."


@dataclass
class BodyTooSlow(Exception):
    """The body stopped arriving."""

    received: int

    def __str__(self) -> str:
        return f"The body stopped arriving after {self.received} bytes; check the Content-Length and send it again."


def content_type(request: Request) -> str:
    """The media type of the body without its parameters, in lower case; empty when it is not given."""
    return _header(request, b"content-type").partition(";")[0].strip().lower()


def _check_encoding(request: Request) -> None:
    encoding = _header(request, b"content-encoding").strip()
    if encoding and encoding.lower() != "identity":
        raise EncodedBody(encoding)


def _header(request: Request, name: bytes) -> str:
    """A header's value without the framework's mapping, which is slow to make; empty when it is not given."""
    for key, value in request.scope["headers"]:
        if key == name:
            found: str = value.decode("latin-1")
            return found
    return ""


class _Arriving:
    """A body on its way, of which at most `limit` bytes are taken.

    Raises:
        BodyTooLarge: by its Content-Length or by count.
        BodyTooSlow: after a silence of `timeout_s`, or on average slower than SLOWEST.
        ClientDisconnect: the connection ended within the body.
    """

    def __init__(self, request: Request, setting: str, limit: int, timeout_s: float) -> None:
        declared = _header(request, b"content-length")
        if declared.isdigit() and int(declared) > limit:
            raise BodyTooLarge(setting, limit)
        self.more = True
        self._request, self._setting, self._limit, self._timeout_s = request, setting, limit, timeout_s
        self._received, self._time = 0, asyncio.get_running_loop().time
        self._start = self._time()

    async def chunk(self) -> bytes:
        """What came now; it may be empty."""
        patience = min(self._timeout_s, self._start + self._timeout_s + self._received / SLOWEST - self._time())
        try:
            async with asyncio.timeout(patience):
                message = await self._request.receive()
        except TimeoutError:
            raise BodyTooSlow(self._received) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        self.more = message.get("more_body", False)
        self._received += len(chunk)
        if self._received > self._limit:
            raise BodyTooLarge(self._setting, self._limit)
        return chunk


async def stream(request: Request, setting: str, limit: int, timeout_s: float) -> AsyncGenerator[bytes, None]:
    """The body in chunks; raises EncodedBody, and what a body on its way does."""
    _check_encoding(request)
    arriving = _Arriving(request, setting, limit, timeout_s)
    while arriving.more:
        if chunk := await arriving.chunk():
            yield chunk


async def read(request: Request, settings: ServiceSettings) -> bytes:
    """The whole body, within NUDGE_MAX_BODY_BYTES; raises what a body on its way does."""
    arriving = _Arriving(request, "NUDGE_MAX_BODY_BYTES", settings.max_body_bytes, settings.body_timeout_s)
    body = await arriving.chunk()
    if arriving.more:
        chunks = [body]
        while arriving.more:
            chunks.append(await arriving.chunk())
        body = b"".join(chunks)
    return body


async def read_json(request: Request, settings: ServiceSettings, wanted: str = "application/json") -> bytes:
    """The whole body of a JSON request, within NUDGE_MAX_BODY_BYTES; `wanted` is all that the operation reads.

    Raises:
        WrongContentType: it says that it is something else.
        EncodedBody: it is compressed.
        BodyTooLarge, BodyTooSlow, ClientDisconnect: as for every body.
    """
    kind = content_type(request)
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise WrongContentType(kind, wanted)
    _check_encoding(request)
    return await read(request, settings)
