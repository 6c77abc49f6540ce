"""Group commit: while one group of submits is written the next one gathers, and each group is one transaction."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Hands what waits to `write`, in groups of at most `largest`, one group at a time. Nobody waits for company."""

    def __init__(self, write: Callable[[list[T]], Awaitable[list[R | Exception]]], largest: int) -> None:
        self._write = write
        self._largest = largest
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Return or raise the outcome of `item`, after its group was written."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if self._writer is None:
            self._writer = asyncio.create_task(self._run())
        return await outcome

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            try:
                outcomes = await self._write([item for item, _ in group])
            except Exception as error:
                # A store that fails a whole group is away; who waits should hear it now, not after its own timeout.
                group, self._waiting = group + self._waiting, []
                outcomes = [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.cancelled():
                    continue  # its client went away; the job stays
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        self._writer = None
