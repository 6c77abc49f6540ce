"""HTTP/1.1 as uvicorn speaks it, with a shortcut for what can be answered at once, and with the parser's own refusals,
which no application sees, as problems too."""

import asyncio

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.problem_details import MEDIA_TYPE, Problem
from service.shortcut import Said, Short, Shortcut

MALFORMED_REQUEST = Problem(
    400, "malformed-request", "The request is not HTTP", "The request line, a header or the framing is not HTTP/1.1."
)
PATIENCE_S = 0.1  # in which the body of a short request arrives; the usual way has more


class Wire(HttpToolsProtocol):
    """A connection. The lifespan's state may hold a `shortcut`."""

    _short: tuple[Short, tuple[str, ...]] | None = None  # what the request is, while it may be answered at once
    _whole = False  # whether all of it is there, and the shortcut has it
    _body: list[bytes]  # what arrived of it
    _size: int
    _late: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """Of requests sent in a row, the one before is answered before the next one is looked at."""
        if self._whole:
            self._shortcut.answer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Whatever is not plain goes the usual way from here."""
        if "shortcut" in self.app_state and self._idle():
            self._short = self._shortcut.find(self.parser.get_method(), self.url)
        if self._short is None:
            super().on_headers_complete()
        else:
            self._body, self._size = [], 0

    def on_body(self, body: bytes) -> None:
        """Keep it until it is whole, if that may not be too much."""
        if self._short is None:
            super().on_body(body)
            return
        self._body.append(body)
        self._size += len(body)
        if self._size > self._shortcut.most_bytes:
            self._go_the_usual_way()

    def on_message_complete(self) -> None:
        """Have it answered at once, if it can be."""
        if self._short is None:
            super().on_message_complete()
            return
        self._whole = True
        self._shortcut.take(self._short, self.headers, b"".join(self._body), self._reply)

    def data_received(self, data: bytes) -> None:
        """A body that does not arrive soon is waited for the usual way."""
        super().data_received(data)
        if self._short is not None and not self._whole and self._late is None:
            self._late = self.loop.call_later(PATIENCE_S, self._go_the_usual_way)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        self._forget()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """A request that has begun is answered."""
        if self._whole:
            self._shortcut.answer()
        elif self._short is not None:
            self._go_the_usual_way()
        super().shutdown()

    @property
    def _shortcut(self) -> Shortcut:
        found: Shortcut = self.app_state["shortcut"]
        return found

    def _idle(self) -> bool:
        """Whether an answer may be sent at once: no other one is due, the client takes what is sent, and goes on."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
        )

    def _reply(self, said: Said | None) -> None:
        if self._short is None or self.transport.is_closing():  # nobody is there to take it
            return
        if said is None:
            self._go_the_usual_way()
            return
        self._forget()
        parts = [STATUS_LINE[200]]
        for name, value in (*self.server_state.default_headers, *said.headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"content-length: %d\r\n\r\n" % len(said.content), said.content)
        self.transport.write(b"".join(parts))
        self.on_response_complete()

    def _go_the_usual_way(self) -> None:
        """As if the request arrived only now."""
        whole = self._whole
        self._forget()
        super().on_headers_complete()
        for part in self._body:
            super().on_body(part)
        self._body = []
        if whole:
            super().on_message_complete()

    def _forget(self) -> None:
        self._short, self._whole = None, False
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not read, and close: nothing behind it can be trusted."""
        self._forget()
        body = orjson.dumps(
            {
                "type": MALFORMED_REQUEST.type,
                "title": MALFORMED_REQUEST.title,
                "status": MALFORMED_REQUEST.status,
                "detail": f"{MALFORMED_REQUEST.meaning} Check the Content-Length and the headers, and send it again.",
                "instance": "",
            }
        )
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
