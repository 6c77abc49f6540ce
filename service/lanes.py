"""Threads for what would hold up the event loop, and lines before them that never grow without end."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Busy(Exception):
    """The line before the threads does not move."""

    def __str__(self) -> str:
        return "Too many requests wait for something that does not move on; try again in a moment."


class Lane:
    """A few threads. Who waits for one goes on waiting while the line moves, and is told when it does not."""

    def __init__(self, name: str, threads: int, patience_s: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = asyncio.Semaphore(threads)
        self._patience_s = patience_s
        self._done = 0  # calls that came to a good end

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function in a thread; raises Busy."""
        await self._acquire()
        work = asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(function, *args, **kwargs))
        # The thread is free when its work is done, not when a client stops waiting for it.
        work.add_done_callback(self._release)
        return await asyncio.shield(work)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _acquire(self) -> None:
        while self._free.locked():
            done = self._done
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._free.acquire()
                return
            except TimeoutError:
                if self._done == done:
                    raise Busy from None
        await self._free.acquire()

    def _release(self, work: asyncio.Future[R]) -> None:
        self._free.release()
        if not work.cancelled() and work.exception() is None:
            self._done += 1
