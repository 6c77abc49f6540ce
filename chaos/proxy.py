"""A small TCP proxy on loopback, through which a link can be cut without either end hearing of it."""

import asyncio
import threading
from contextlib import suppress

CHUNK = 65536


class Proxy:
    """Forwards to `upstream` (a loopback port) from `port`, in a thread of its own."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = 0
        self._dark = False
        self._generation = 0  # links of an earlier generation are half-open: they swallow everything, for good
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def cut(self) -> None:
        """From now on every link is half-open: it stands, and nothing arrives."""
        self._generation += 1
        self._dark = True

    def mend(self) -> None:
        """New links work again; those that were cut stay as they are."""
        self._generation += 1
        self._dark = False

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = -1 if self._dark else self._generation
        writers = [writer]
        try:
            if generation < 0:
                while await reader.read(CHUNK):
                    pass
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
            writers.append(far_writer)
            ways = (self._pump(reader, far_writer, generation), self._pump(far_reader, writer, generation))
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
        except OSError:
            pass  # the broker is down, and whoever called hears it
        finally:
            for each in writers:
                with suppress(Exception):
                    each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, generation: int) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if generation == self._generation:
                    writer.write(data)
                    await writer.drain()
            if generation != self._generation:  # the other end must not hear that this one is gone
                await asyncio.sleep(30)
