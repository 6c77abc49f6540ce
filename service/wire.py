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
GRACE_S = 0.2  # in which requests that were on their way when the server was told to stop arrive


class Wire(HttpToolsProtocol):
    """A connection. The lifespan's state may hold a `shortcut`."""

    _short: tuple[Short, tuple[str, ...]] | None = None  # what the request is, while it may be answered at once
    _whole = False  # whether all of it is there, and the shortcut has it
    _body: list[bytes]  # what arrived of it
    _size: int
    _late: asyncio.TimerHandle | None = None
    _ending = False  # whether the next request is the last one

    def on_message_begin(self) -> None:
        """Of requests sent in a row, the one before is answered before the next one is looked at."""
        if self._whole:
            self._shortcut.answer()
            self._unset_keepalive_if_required()  # it waits for a request, and here is one
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Whatever is not plain goes the usual way from here."""
        if "shortcut" in self.app_state and self._idle():
            self._short = self._shortcut.find(self.parser.get_method(), self.url)
        if self._short is None:
            super().on_headers_complete()
            if self._ending:
                self.cycle.keep_alive = False
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
        short, body = self._short, b"".join(self._body)
        self._forget()
        self._short, self._whole, self._body = short, True, [body]
        self._shortcut.take(short, self.headers, body, self._reply)

    def data_received(self, data: bytes) -> None:
        """A body that does not arrive soon is waited for the usual way."""
        super().data_received(data)
        if self._short is not None and not self._whole and self._late is None:
            self._late = self.loop.call_later(PATIENCE_S, self._go_the_usual_way)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        self._forget()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # it would keep all this in memory until it has waited

    def shutdown(self) -> None:
        """Requests that have begun, or were on their way, are answered."""
        if self._whole:
            self._shortcut.answer()
        elif self._short is not None:
            self._go_the_usual_way()
        if self._answered():
            self._ending = True
            self.loop.call_later(GRACE_S, self._end)
        else:
            super().shutdown()

    def _end(self) -> None:
        if self._answered():
            self.transport.close()

    @property
    def _shortcut(self) -> Shortcut:
        found: Shortcut = self.app_state["shortcut"]
        return found

    def _answered(self) -> bool:
        """Whether no answer is due."""
        return self.cycle is None or self.cycle.response_complete

    def _idle(self) -> bool:
        """Whether an answer may be sent at once: no other one is due, the client takes what is sent, and goes on."""
        return (
            self._answered()
            and not self._ending
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
        )

    def _reply(self, said: Said | None) -> bool:
        """Whether the answer is sent."""
        if not self._whole or self.transport.is_closing():  # nobody is there to take it
            return False
        if said is None:
            self._go_the_usual_way()
            return False
        self._forget()
        parts = [STATUS_LINE[200]]
        for name, value in (*self.server_state.default_headers, *said.headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"content-length: %d\r\n\r\n" % len(said.content), said.content)
        self.transport.write(b"".join(parts))
        self.on_response_complete()
        return True

    def _go_the_usual_way(self) -> None:
        """As if the request arrived only now."""
        whole, body = self._whole, self._body
        self._forget()
        super().on_headers_complete()
        for part in body:
            super().on_body(part)
        if whole:
            super().on_message_complete()

    def _forget(self) -> None:
        self._short, self._whole, self._body = None, False, []
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
