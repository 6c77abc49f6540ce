"""A load generator that costs little: keep-alive HTTP/1.1 over asyncio streams, requests prepared as bytes."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """One HTTP/1.1 request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Answer:
    """A response: its status, its body and how long it took, in seconds."""

    status: int
    body: bytes
    seconds: float


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> "Connection":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def ask(self, prepared: bytes) -> Answer:
        """Send a request and read its whole answer, which must carry a content-length if it has a body."""
        began = time.perf_counter()
        self.writer.write(prepared)
        status, headers = await self._head()
        length = 0 if status == 204 else int(headers[b"content-length"])
        body = await self.reader.readexactly(length)
        return Answer(status, body, time.perf_counter() - began)

    async def events(self, path: str) -> AsyncIterator[bytes]:
        """The events of a text/event-stream, one after the other, as they come over the wire."""
        self.writer.write(request("GET", path, accept="text/event-stream"))
        status, headers = await self._head()
        assert status == 200, status
        assert headers[b"transfer-encoding"] == b"chunked"
        rest = b""
        while size := int(await self.reader.readline(), 16):
            rest += (await self.reader.readexactly(size + 2))[:-2]
            *whole, rest = rest.split(b"\n\n")
            for event in whole:
                yield event

    async def _head(self) -> tuple[int, dict[bytes, bytes]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers
