"""Load that costs little: connections that each send a prepared request as soon as their last one was answered."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop


@dataclass
class Load:
    """What came of it: the time of each answer in seconds, how long all took, and this process's share of a core."""

    times: list[float] = field(default_factory=list)
    seconds: float = 0.0
    busy: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    def percentile(self, share: float) -> float:
        """The time in seconds that `share` of all answers did not exceed."""
        return sorted(self.times)[min(len(self.times) - 1, int(share * len(self.times)))]


class _Asker(asyncio.Protocol):
    """One connection. An answer must be 200 and carry a Content-Length."""

    def __init__(self, prepared: bytes, until: float, times: list[float], over: asyncio.Future[None]) -> None:
        self._prepared, self._until, self._times, self._over = prepared, until, times, over
        self._gathered = b""
        self._whole = 0  # length of the answer, once its head is there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # uvloop has a class of its own
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._prepared)

    def data_received(self, data: bytes) -> None:
        self._gathered = self._gathered + data if self._gathered else data
        if not self._whole and (end := self._gathered.find(b"\r\n\r\n")) >= 0:
            head = self._gathered[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                self._fail(RuntimeError(f"{self._gathered[:500]!r}"))
                return
            start = head.index(b"content-length:") + 15
            self._whole = end + 4 + int(head[start:].split(b"\r\n", 1)[0])
        if not self._whole or len(self._gathered) < self._whole:
            return
        now = time.perf_counter()
        self._times.append(now - self._sent)
        self._gathered, self._whole = b"", 0
        if now < self._until:
            self._ask()
        elif not self._over.done():
            self._over.set_result(None)
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)
        self._transport.close()


async def _run(port: int, prepared: bytes, connections: int, seconds: float) -> Load:
    loop, load = asyncio.get_running_loop(), Load()
    began, worked = time.perf_counter(), time.process_time()
    waited = []
    for _ in range(connections):
        over = loop.create_future()
        await loop.create_connection(
            lambda over=over: _Asker(prepared, began + seconds, load.times, over), "127.0.0.1", port
        )
        waited.append(over)
    await asyncio.gather(*waited)
    load.seconds = time.perf_counter() - began
    load.busy = (time.process_time() - worked) / load.seconds
    return load


def run(port: int, prepared: bytes, connections: int, seconds: float) -> Load:
    """Ask for so many seconds over so many connections; raises RuntimeError for an answer that is not 200."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(port, prepared, connections, seconds))
